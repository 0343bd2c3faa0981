"""The templates of Azure agree with each other, with the guide, the services and `k8s/`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra import rule_groups
from infra.hooks import overlay

from agent_relay.settings import RelaySettings
from bridge_common.service.settings import ServiceSettings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings
from tests.support import bicep
from tests.support.bicep import Tree

SETTINGS: dict[str, type[ServiceSettings]] = {
    "call-control": CallControlSettings,
    "media-gateway": GatewaySettings,
    "agent-relay": RelaySettings,
}
OF_IDENTITIES = {"AZURE_CLIENT_ID"}
ROLES = {
    "acrPull": "AcrPull",
    "aksRbacClusterAdmin": "Azure Kubernetes Service RBAC Cluster Admin",
    "cognitiveServicesUser": "Cognitive Services User",
    "contributor": "Contributor",
    "foundryUser": "Foundry User",
    "grafanaAdmin": "Grafana Admin",
    "keyVaultSecretsOfficer": "Key Vault Secrets Officer",
    "keyVaultSecretsUser": "Key Vault Secrets User",
    "monitoringDataReader": "Monitoring Data Reader",
    "networkContributor": "Network Contributor",
}
ASSIGNED = {
    ("modules/aks.bicep", "aksRbacClusterAdmin"): ["cluster"],
    ("modules/communication-access.bicep", "contributor"): ["communication"],
    ("modules/foundry.bicep", "cognitiveServicesUser"): ["account"],
    ("modules/foundry.bicep", "foundryUser"): ["account", "account"],
    ("modules/key-vault.bicep", "keyVaultSecretsOfficer"): ["vault"],
    ("modules/monitoring.bicep", "grafanaAdmin"): ["grafana"],
    ("modules/monitoring.bicep", "monitoringDataReader"): ["metrics"],
    ("modules/pull-role.bicep", "acrPull"): ["registry"],
    ("modules/subnet-role.bicep", "networkContributor"): ["subnet"],
    ("secrets/secret-roles.bicep", "keyVaultSecretsUser"): ["secrets"],
}
"""Role of each assignment and the resource to which it is limited."""


@pytest.fixture(scope="module")
def infra(root: Path) -> Path:
    return root / "infra"


@pytest.fixture(scope="module")
def trees(infra: Path) -> dict[str, Tree]:
    return bicep.load(infra)


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / "docs/running-on-azure.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hooks(infra: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(infra.glob("hooks/*.sh"))}


def _modules(trees: dict[str, Tree], name: str) -> dict[str, tuple[str, Tree]]:
    """The template and the properties of each module of a template, by its symbol."""
    folder = Path(name).parent
    return {
        symbol: ((folder / declaration["detail"]["path"]).as_posix(), bicep.body(declaration))
        for symbol, declaration in trees[name].get("modules", {}).items()
    }


def test_every_module_gets_its_parameters_and_no_others(trees: dict[str, Tree]) -> None:
    called = set()
    for name in trees:
        for symbol, (template, properties) in _modules(trees, name).items():
            declared = trees[template]["parameters"]
            required = {key for key, value in declared.items() if value["default"] is None}
            assert set(properties["params"]) <= set(declared), f"{name}: {symbol}"
            assert required <= set(properties["params"]), f"{name}: {symbol}"
            called.add(template)
    deployed = {"main.bicep", *(f"{name}/main.bicep" for name in ("alerts", "container-apps", "events", "secrets"))}
    assert called | deployed == set(trees)


def test_every_output_that_is_used_exists(infra: Path, trees: dict[str, Tree]) -> None:
    used = 0
    for name in trees:
        modules = _modules(trees, name)
        text = (infra / name).read_text(encoding="utf-8")
        for symbol, output in re.findall(r"\b(\w+)(?:\[\d+\])?!?\.outputs\.(\w+)", text):
            assert output in trees[modules[symbol][0]]["outputs"], f"{name}: {symbol}.outputs.{output}"
            used += 1
    assert used > 40


def test_no_parameter_variable_or_existing_resource_is_unused(infra: Path, trees: dict[str, Tree]) -> None:
    for name, tree in trees.items():
        text = re.sub(r"(?m)^\s*//.*|@description\(.*\)", "", (infra / name).read_text(encoding="utf-8"))
        existing = {symbol for symbol, value in tree.get("resources", {}).items() if value["existing"]}
        for symbol in {*tree.get("parameters", {}), *tree.get("variables", {}), *existing}:
            assert len(re.findall(rf"\b{symbol}\b", text)) > 1, f"{name}: {symbol}"


def test_azd_offers_every_parameter_with_its_default(infra: Path, trees: dict[str, Tree], guide: str) -> None:
    offered = json.loads((infra / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    declared = trees["main.bicep"]["parameters"]
    assert set(offered) == set(declared)
    for name, parameter in offered.items():
        variable, separator, default = parameter["value"].removeprefix("${").removesuffix("}").partition("=")
        if not separator:
            assert variable in {"AZURE_ENV_NAME", "AZURE_LOCATION"}
            continue
        plain = declared[name]["default"]
        assert default == (str(plain).lower() if isinstance(plain, bool) else str(plain)), name
        assert f"`{variable}`" in guide, f"the guide does not describe {variable}"


def test_the_hooks_use_only_what_azd_and_the_templates_provide(
    hooks: dict[str, str], trees: dict[str, Tree], guide: str
) -> None:
    outputs = set(trees["main.bicep"]["outputs"])
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", guide[guide.index("## 2.") : guide.index("## 3.")]))
    known = outputs | documented | {"AZURE_ENV_NAME", "IMAGE_TAG", "CERT_MANAGER", "PWD"}
    for name, text in hooks.items():
        own = set(re.findall(r"^(?:export )?([A-Z_]+)=", text, re.MULTILINE))
        used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", text)) - {"BASH_SOURCE"}
        assert used <= known | own, name
    assert set(overlay.REQUIRED) <= known
    assert {key for keys in overlay.SETTINGS.values() for key in keys} <= outputs


def test_role_ids_have_the_names_of_the_guide(infra: Path, guide: str) -> None:
    ids = json.loads((infra / "roles.json").read_text(encoding="utf-8"))
    assert set(ids) == set(ROLES)
    rows = re.findall(r"^\| [^|]+ \| ([^|]+?)(?: \(earlier: [^|]+\))? \| `([0-9a-f-]{36})` \|", guide, re.MULTILINE)
    assert len(rows) >= len(ids)
    assert set(rows) == {(ROLES[key], value) for key, value in ids.items()}


def test_roles_are_limited_to_one_resource(trees: dict[str, Tree]) -> None:
    assigned: dict[tuple[str, str], list[str]] = {}
    for name, properties in bicep.resources(trees, "Microsoft.Authorization/roleAssignments"):
        role = json.dumps(properties["properties"]["roleDefinitionId"])
        (key,) = [key for key in ROLES if f'"{key}"' in role]
        scope = properties["scope"]
        assigned.setdefault((name, key), []).append(
            scope if isinstance(scope, str) else scope["operator"]["operands"]["operand_1"]
        )
    assert assigned == ASSIGNED
    assert {role for _, role in assigned} == set(ROLES)


def test_service_accounts_are_those_of_kubernetes(root: Path, trees: dict[str, Tree]) -> None:
    namespace = trees["modules/federation.bicep"]["parameters"]["namespace"]["default"]
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
    subjects = [properties["properties"]["subject"] for _, properties in bicep.resources(trees, kind)]
    accounts = [yaml.safe_load(path.read_text()) for path in (root / "k8s/base").glob("*/service-account.yaml")]
    expected = {f"system:serviceaccount:${{namespace}}:{account['metadata']['name']}" for account in accounts}
    assert set(subjects) == expected
    assert namespace == yaml.safe_load((root / "k8s/overlays/aks/kustomization.yaml").read_text())["namespace"]


def test_each_service_reads_its_secrets_and_no_others(
    root: Path, trees: dict[str, Tree], hooks: dict[str, str]
) -> None:
    classes = yaml.safe_load_all((root / "k8s/components/key-vault/secret-provider-classes.yaml").read_text())
    mounted = {
        provider["metadata"]["name"]: dict(
            re.findall(r"objectName: (\S+)\n.*\n\s+objectAlias: (\S+)", provider["spec"]["parameters"]["objects"])
        )
        for provider in classes
    }
    apps = _apps(trees)
    granted = _modules(trees, "secrets/main.bicep").values()
    allowed = {
        properties["name"].removesuffix("-secrets"): set(properties["params"]["secretNames"])
        for _, properties in granted
    }
    for service, names in mounted.items():
        assert allowed[service] == set(names), service
        assert {secret: key for key, secret in apps[service]["secrets"].items()} == names, service
    # At the start of a line: the key of KEDA, which no service reads, is written under a condition.
    written = set(re.findall(r"^(?:generate|write) ([a-z-]+)", hooks["secrets.sh"], re.MULTILINE))
    assert written == {name for names in mounted.values() for name in names}


def test_the_autoscaler_has_an_operator_key_of_its_own(hooks: dict[str, str]) -> None:
    assert "  generate fleet-reader 24\n  permit fleet-reader\n" in hooks["secrets.sh"]
    assert "--name fleet-reader --query value" in hooks["aks.sh"]
    assert "api-keys" not in hooks["aks.sh"]


def _apps(trees: dict[str, Tree]) -> dict[str, Any]:
    apps = _modules(trees, "container-apps/main.bicep").values()
    return {properties["name"]: properties["params"] for _, properties in apps}


@pytest.mark.parametrize("service", SETTINGS)
def test_settings_of_container_apps_exist(service: str, trees: dict[str, Tree]) -> None:
    template = trees["container-apps/main.bicep"]
    app = _apps(trees)[service]
    names = {*bicep.keys(template, app["settings"]), *app["secrets"]}
    known = {name.upper() for name in SETTINGS[service].model_fields} | OF_IDENTITIES
    assert names <= known
    assert names >= {"REDIS_URL", "AZURE_CLIENT_ID", *overlay.REDIS}
    for key, value in overlay.REDIS.items():
        assert bicep.keys(template, app["settings"])[key] == value


@pytest.mark.parametrize("service", SETTINGS)
def test_settings_of_the_generated_overlay_exist(service: str) -> None:
    known = {name.upper() for name in SETTINGS[service].model_fields}
    names = overlay.SETTINGS["bridge-settings"] + overlay.SETTINGS.get(f"{service}-settings", ())
    assert {*names, *overlay.REDIS} <= known | {"ACS_JWT_AUDIENCE"}


@pytest.mark.parametrize("service", SETTINGS)
def test_container_apps_have_the_ports_and_grace_periods_of_kubernetes(
    service: str, root: Path, trees: dict[str, Tree]
) -> None:
    manifest = yaml.safe_load((root / f"k8s/base/{service}/deployment.yaml").read_text())
    pod = manifest["spec"]["template"]["spec"]
    app = _apps(trees)[service]
    assert app["port"] == pod["containers"][0]["ports"][0]["containerPort"]
    assert app["terminationGracePeriodSeconds"] == pod["terminationGracePeriodSeconds"] <= 600


def test_container_apps_publish_the_paths_that_azure_calls(trees: dict[str, Tree]) -> None:
    ((_, routes),) = bicep.resources(trees, "Microsoft.App/managedEnvironments/httpRouteConfigs")
    paths = {
        path: rule["targets"][0]["containerApp"]
        for rule in routes["properties"]["rules"]
        for route in rule["routes"]
        for path in route["match"].values()
    }
    assert paths == {
        "/api/incomingCall": "call-control",
        "/api/callbacks": "call-control",
        "/ws": "media-gateway",
    }


def test_rule_groups_of_azure_have_every_rule(root: Path) -> None:
    written = (root / "infra/alerts/rule-groups.json").read_text(encoding="utf-8")
    assert written == rule_groups.content(), "run `make observability`"
    groups = json.loads(written)
    assert max(len(group["rules"]) for group in groups) <= rule_groups.MOST_RULES
    assert len({group["name"] for group in groups}) == len(groups)
    found = [(rule.get("record") or rule["alert"], rule["expression"]) for group in groups for rule in group["rules"]]
    source = yaml.safe_load((root / "observability/rules.yaml").read_text(encoding="utf-8"))["groups"]
    assert found == [(rule.get("record") or rule["alert"], rule["expr"]) for group in source for rule in group["rules"]]


def test_an_alert_has_the_duration_and_the_severity_of_azure() -> None:
    rule = {"expr": "x > 1", "for": "10m", "labels": {"severity": "ticket"}, "annotations": {"summary": "x"}}
    page = rule | {"alert": "b", "labels": {"severity": "page"}}
    record = {"record": "c", "expr": "1"}
    (group,) = rule_groups.rule_groups([{"name": "g", "rules": [rule | {"alert": "a"}, page, record]}])
    ticket, page, record = group["rules"]
    assert (ticket["for"], ticket["severity"], page["severity"]) == ("PT10M", 3, 1)
    assert record == {"record": "c", "expression": "1", "labels": {}}


def test_the_event_subscription_has_both_authentications_and_no_late_deliveries(trees: dict[str, Tree]) -> None:
    tree = trees["events/event-subscription.bicep"]
    destination = bicep.keys(tree, "destination") | bicep.keys(tree, "entra")
    assert destination["endpointUrl"] == "${baseUrl}/api/incomingCall?code=${secret}"
    assert destination["azureActiveDirectoryApplicationIdOrUri"] == "entraAudience"
    assert destination["azureActiveDirectoryTenantId"] == "entraTenantId"
    ((_, subscription),) = bicep.resources(trees, "Microsoft.EventGrid/systemTopics/eventSubscriptions")
    properties = subscription["properties"]
    assert properties["retryPolicy"] == {"maxDeliveryAttempts": 2, "eventTimeToLiveInMinutes": 1}
    assert properties["filter"]["includedEventTypes"] == ["Microsoft.Communication.IncomingCall"]
    decorators = tree["parameters"]["eventGridSecrets"]["decorators"]
    assert "secure" in {decorator["type"] for decorator in decorators}


def test_redis_can_grow_and_keeps_the_keys_of_running_calls(trees: dict[str, Tree]) -> None:
    ((_, database),) = bicep.resources(trees, "Microsoft.Cache/redisEnterprise/databases")
    properties = database["properties"]
    assert properties["clusteringPolicy"] == "OSSCluster"
    assert properties["evictionPolicy"] == "NoEviction"
    assert properties["accessKeysAuthentication"] == "Disabled"
    assert overlay.REDIS["REDIS_CLUSTER"] == "true"
    assert int(overlay.REDIS["REDIS_SHARDS"]) > 1


def test_the_cluster_waits_for_drains(root: Path, trees: dict[str, Tree]) -> None:
    ((_, cluster),) = bicep.resources(trees, "Microsoft.ContainerService/managedClusters")
    scaler = {key.strip("'"): value for key, value in cluster["properties"]["autoScalerProfile"].items()}
    manifests = [yaml.safe_load(path.read_text()) for path in (root / "k8s/base").glob("*/deployment.yaml")]
    longest = max(manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for manifest in manifests)
    assert int(scaler["max-graceful-termination-sec"]) > longest
    assert scaler["skip-nodes-with-local-storage"] == "false", "the /tmp of each pod is an emptyDir"


def test_the_table_of_the_guide_has_every_template_and_settings_that_exist(guide: str, trees: dict[str, Tree]) -> None:
    table = guide[guide.index("## Resources, roles and settings") : guide.index("### Checks")]
    assert set(re.findall(r"`([\w/-]+\.bicep)`", table)) == set(trees)
    known = {name.upper() for settings in SETTINGS.values() for name in settings.model_fields} | OF_IDENTITIES
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table))
    assert len(named) > 15
    assert named <= known
