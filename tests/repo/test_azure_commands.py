"""The extraction of `az` commands; their check needs the Azure CLI and is part of `make infra`."""

from __future__ import annotations

from pathlib import Path

from infra.checks.azure_commands import commands_in, extension_of, scripts_of


def test_commands_end_where_the_shell_ends_them() -> None:
    script = """
az group create -n "$RG" \\
  -l x; az account show 2>/dev/null || az login
ID=$(az group show -n $(az group list --query '[0].name | a(b)' -o tsv) -o tsv)
if az keyvault list >out; then echo az nothing; fi
for name in a b; do az extension add --name $name; done
az vm list -g rg-<name of yours> -o tsv > out
"""
    assert list(commands_in(script)) == [
        ["az", "group", "create", "-n", "$RG", "-l", "x"],
        ["az", "account", "show"],
        ["az", "login"],
        ["az", "group", "show", "-n", "$", "-o", "tsv"],
        ["az", "group", "list", "--query", "[0].name | a(b)", "-o", "tsv"],
        ["az", "keyvault", "list"],
        ["az", "extension", "add", "--name", "$name"],
        ["az", "vm", "list", "-g", "rg-placeholder", "-o", "tsv"],
    ]


def test_pages_have_blocks_and_inline_commands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Run `az ad sp\ncreate --id x`.\n\n```bash\naz login  # first\n```\n\n```python\naz = 1\n```\n\n    az logout\n"
    )
    found = [command for script in scripts_of(page) for command in commands_in(script)]
    assert sorted(found) == [["az", "ad", "sp", "create", "--id", "x"], ["az", "login"], ["az", "logout"]]


def test_comments_of_scripts_are_not_commands(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("# az nothing\naz login\n")
    (text,) = scripts_of(script)
    assert list(commands_in(text)) == [["az", "login"]]


def test_extensions_are_known_by_group_and_option() -> None:
    assert extension_of(["az", "communication", "list"]) == "communication"
    assert extension_of(["az", "grafana", "dashboard", "create"]) == "amg"
    assert extension_of(["az", "aks", "update", "--enable-application-load-balancer"]) == "aks-preview"
    assert extension_of(["az", "aks", "show"]) is None


def test_the_documents_have_commands_to_check(root: Path) -> None:
    found = [
        command
        for path in (root / "docs/running-on-azure.md", *sorted((root / "infra/hooks").glob("*.sh")))
        for script in scripts_of(path)
        for command in commands_in(script)
    ]
    assert len(found) > 30
    assert {command[1] for command in found} >= {"deployment", "aks", "acr", "keyvault", "identity"}
