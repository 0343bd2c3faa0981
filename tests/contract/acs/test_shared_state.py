from __future__ import annotations

from tests.contract.support.acs_stage import acs_stage


async def test_two_simulators_in_one_process_share_nothing() -> None:
    async with acs_stage() as one, acs_stage() as other:
        await one.place()
        await one.faults({"rest": {"*": {"status": 500}}})
        assert (await other.lab.get("/lab/calls")).json() == {"calls": []}
        assert (await other.lab.get("/lab/faults")).json()["rest"] == {}
        keys = [(await stage.lab.get("/calling/keys")).json()["keys"][0]["kid"] for stage in (one, other)]
        assert keys[0] != keys[1]
