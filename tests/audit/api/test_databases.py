"""The read routes answer the same over both databases."""

from pathlib import Path

from audit.masking import MASK
from tests.audit.reading import RANGE, open_site, prediction


def test_every_read_works_over_either_database(tmp_path: Path, database: str) -> None:
    site = open_site(tmp_path, database=database)
    with site.client:
        first = site.log(*(prediction(n) for n in range(20)))
        site.log(
            {"id": "o", "time": RANGE["from"], "prediction": {"id": "p-0"}, "outcome": 1},
            type="OutcomeObserved",
        )
        page = site.search("audit", model="credit", limit=15).json()
        rest = site.search("audit", model="credit", limit=15, cursor=page["next"]).json()
        found = [row["index"] for row in page["items"] + rest["items"]]
        assert found == list(range(first + 19, first - 1, -1))
        subject = {"scheme": "customer", "id": "secret-ann"}
        assert len(site.search("dpo", subject=subject, limit=200).json()["items"]) >= 20
        trace = site.get(f"/v1/entries/{first}/trace").json()
        checks = ("hash", "inclusion", "signature", "retention")
        assert {trace["verdict"][name]["state"] for name in checks} == {"ok"}
        assert [look["action"] for look in trace["looked"]] == ["search", "search", "trace"]
        assert {m["type"] for m in trace["timeline"]} >= {"PredictionLogged", "OutcomeObserved"}
        assert site.get(f"/v1/entries/{first}", "ops").json()["body"]["inputs"] == MASK
        slowest = site.get("/v1/latency", **RANGE, step="day").json()["slowest"]
        assert slowest[0]["index"] == first + 19
        assert site.get("/v1/overview", **RANGE).json()["predictions"] == 20
        assert site.get("/v1/models").json()["items"][0]["versions"][0]["predictions"] == 20
        assert site.client.get("/log/main/tile/0/000.p/20").status_code == 200
    site.store.close()
