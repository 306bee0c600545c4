"""The decision trace: one story from all entries, and every kind of tampering shown as failed."""

import sqlite3
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit import checkpoint, merkle, note, tlogproof, trace
from audit.masking import MASK
from audit.reader import Leaf, Opened
from tests.audit.reading import RANGE, Site, prediction

CHECKS = ("hash", "inclusion", "signature", "retention")


def traced(site: Site, index: int, *roles: str) -> dict[str, Any]:
    answer = site.get(f"/v1/entries/{index}/trace", *(roles or ("compliance",)))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def states(found: dict[str, Any]) -> dict[str, str]:
    return {name: found["verdict"][name]["state"] for name in CHECKS}


def vandalise(site: Site, statement: str, *values: object) -> None:
    """Write to the database as somebody with its password could, guards taken away first."""
    connection = sqlite3.connect(Path(site.store.settings.data) / "ledger.db", timeout=10)
    with connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute(statement, values)
    connection.close()


def stored(site: Site, query: str, *values: object) -> bytes:
    connection = sqlite3.connect(Path(site.store.settings.data) / "ledger.db", timeout=10)
    found = connection.execute(query, values).fetchone()[0]
    connection.close()
    return bytes(found)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def about(kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": kind, "time": RANGE["from"], "prediction": {"id": "p-0"}, **fields}


def test_an_untouched_decision_is_proved_in_all_four_ways(site: Site) -> None:
    index = site.log(prediction())
    found = traced(site, index)
    assert set(states(found).values()) == {"ok"}
    assert found["verdict"]["verifier"].startswith("modelwitness")
    assert found["decision"]["inputs"]["city"] == "Secretville"
    assert found["decision"]["output"] == "secret-decline"


def test_the_trace_can_be_verified_by_a_stranger(site: Site) -> None:
    index = site.log(prediction())
    found = traced(site, index)
    verifier = note.Verifier.parse(site.get("/v1/log").json()["vkey"])
    leaf_hash = merkle.leaf_hash(b64decode(found["canonical"]))
    signed = tlogproof.verify(tlogproof.parse(found["proof"].encode()), leaf_hash, verifier)
    assert signed == checkpoint.open(found["checkpoint"].encode(), verifier)
    text = site.get(f"/v1/entries/{index}/proof").text
    assert tlogproof.verify(tlogproof.parse(text.encode()), leaf_hash, verifier).size > index


def test_the_timeline_joins_what_was_told_about_a_decision(site: Site) -> None:
    index = site.log(prediction())
    site.log(about("o", outcome="repaid", label_source="core"), type="OutcomeObserved")
    site.log(
        about("h", action="override", reviewer="rita", simulated=True), type="OversightRecorded"
    )
    other = prediction(1)
    site.log(other)
    moments = [m for m in traced(site, index)["timeline"] if m["type"] != "AccessRecorded"]
    assert {m["type"] for m in moments} == {
        "PredictionLogged",
        "OutcomeObserved",
        "OversightRecorded",
    }
    review = next(m for m in moments if m["type"] == "OversightRecorded")
    assert (review["actor"], review["simulated"]) == ("rita", True)
    assert len(moments) == 3


def test_an_outcome_leads_to_the_story_of_its_prediction_and_is_proved_itself(site: Site) -> None:
    index = site.log(prediction())
    outcome = site.log(about("o", outcome="repaid"), type="OutcomeObserved")
    found = traced(site, outcome)
    assert (found["index"], found["prediction"]) == (outcome, index)
    assert sorted(site.accesses()[-1]["indexes"]) == [index, outcome]
    assert set(states(found).values()) == {"ok"}
    assert found["leaf"]["type"] == "OutcomeObserved"
    leaf_hash = site.store.reader.leaf(outcome).hash
    verifier = note.Verifier.parse(site.ledger.vkey)
    tlogproof.verify(tlogproof.parse(found["proof"].encode()), leaf_hash, verifier)
    decided = traced(site, index)
    assert found["decision"] == decided["decision"] is not None
    told = [
        [m for m in each["timeline"] if m["type"] != "AccessRecorded"] for each in (found, decided)
    ]
    assert told[0] == told[1]


def test_a_damaged_outcome_fails_though_its_prediction_is_whole(site: Site) -> None:
    index = site.log(prediction())
    outcome = site.log(about("o", outcome="repaid"), type="OutcomeObserved")
    sealed = stored(site, "SELECT sealed FROM payload WHERE idx = ?", outcome)
    vandalise(site, "UPDATE payload SET sealed = ? WHERE idx = ?", flipped(sealed, 20), outcome)
    assert states(traced(site, outcome))["hash"] == "failed"
    assert set(states(traced(site, index)).values()) == {"ok"}


def test_an_outcome_before_its_prediction_has_a_trace_without_a_decision(site: Site) -> None:
    index = site.log(about("o", outcome="repaid"), type="OutcomeObserved")
    found = traced(site, index)
    assert (found["index"], found["prediction"]) == (index, None)
    assert found["decision"] is None
    assert set(states(found).values()) == {"ok"}


def test_a_field_called_prediction_in_a_prediction_leads_nowhere(site: Site) -> None:
    index = site.log(
        prediction(0, prediction={"id": "p-1"}),
        prediction(1, prediction={"id": "p-0"}),
        prediction(2, prediction={}),
    )
    for place in range(index, index + 3):
        found = traced(site, place)
        assert found["index"] == place
        assert found["decision"]["output"] == "secret-decline"


def test_a_late_explanation_explains_the_decision(site: Site) -> None:
    bare = prediction()
    del bare["explanation"]
    index = site.log(bare)
    assert traced(site, index)["decision"]["explanation"] is None
    site.log(about("x", explanation={"reason_codes": ["R07"]}), type="ExplanationAttached")
    assert traced(site, index)["decision"]["explanation"] == {"reason_codes": ["R07"]}
    assert traced(site, index, "ops")["decision"]["explanation"] == MASK


def test_lineage_comes_from_the_release_when_the_prediction_names_none(site: Site) -> None:
    index = site.log(prediction())
    lineage = {"training_run": "run-7", "datasets": [{"name": "loans", "digest": "sha256:1"}]}
    release = {
        "id": "v1",
        "time": RANGE["from"],
        "model": {"name": "credit", "version": "1", "lineage": lineage},
    }
    site.log(release, type="VersionReleased")
    assert traced(site, index, "ops")["decision"]["lineage"] == lineage


def test_an_edited_payload_fails_the_hash_and_shows_nothing_of_it(site: Site) -> None:
    index = site.log(prediction())
    sealed = stored(site, "SELECT sealed FROM payload WHERE idx = ?", index)
    vandalise(site, "UPDATE payload SET sealed = ? WHERE idx = ?", flipped(sealed, 20), index)
    found = traced(site, index)
    assert states(found)["hash"] == "failed"
    assert states(found)["inclusion"] == states(found)["signature"] == "ok"
    assert states(found)["retention"] == "unchecked"
    assert found["decision"] is None
    assert site.get(f"/v1/entries/{index}").status_code == 500


def test_an_edited_leaf_fails_hash_and_inclusion(site: Site) -> None:
    index = site.log(prediction())
    vandalise(site, "UPDATE series SET model = 'cradit' WHERE model = 'credit'")
    found = traced(site, index)
    assert (states(found)["hash"], states(found)["inclusion"]) == ("failed", "failed")
    assert found["leaf"] is None
    assert site.get(f"/v1/entries/{index}/proof").status_code == 500


def test_bytes_that_are_no_leaf_fail_without_an_internal_error(site: Site) -> None:
    index = site.log(prediction())
    vandalise(site, "UPDATE entry SET leaf = x'7b7d' WHERE idx = ?", index)
    found = traced(site, index)
    assert (states(found)["hash"], states(found)["inclusion"]) == ("failed", "failed")
    assert found["leaf"] is None


def test_an_edited_tile_fails_the_inclusion(site: Site) -> None:
    first = site.log(*(prediction(n) for n in range(300)))
    assert states(traced(site, first + 3))["inclusion"] == "ok"
    vandalise(site, "UPDATE tile SET hashes = zeroblob(8192), root = zeroblob(32)")
    found = traced(site, first + 3)
    assert states(found)["inclusion"] == "failed"
    assert states(found)["hash"] == "ok"


def test_a_payload_that_is_gone_without_an_erasure_fails(site: Site) -> None:
    index = site.log(prediction())
    vandalise(site, "DELETE FROM payload WHERE idx = ?", index)
    found = traced(site, index)
    assert (states(found)["hash"], states(found)["retention"]) == ("failed", "failed")
    assert "no erasure accounts for it" in found["verdict"]["retention"]["detail"]
    assert "no erasure covers it" in found["verdict"]["hash"]["detail"]
    assert found["decision"] is None
    assert site.get(f"/v1/entries/{index}").status_code == 500


def test_a_payload_that_a_logged_erasure_covers_is_not_called_fine(site: Site) -> None:
    index = site.log(prediction())
    site.log(
        {"id": "e1", "time": RANGE["from"], "ranges": [[index, index]]},
        type="ErasureCompleted",
        by="modelwitness",
    )
    vandalise(site, "DELETE FROM payload WHERE idx = ?", index)
    found = traced(site, index)
    assert (states(found)["hash"], states(found)["retention"]) == ("unchecked", "unchecked")
    uncovered = site.log(prediction(1))
    vandalise(site, "DELETE FROM payload WHERE idx = ?", uncovered)
    other = states(traced(site, uncovered))
    assert (other["hash"], other["retention"]) == ("failed", "failed")
    assert site.get(f"/v1/entries/{index}").json()["erased"] is True


class Altered:
    """The real reader, but for a proof that somebody changed on the way."""

    def __init__(self, site: Site, before: bytes, after: bytes) -> None:
        self._reader = site.store.reader
        self._before, self._after = before, after

    def leaf(self, index: int) -> Leaf:
        return self._reader.leaf(index)

    def open(self, indexes: Sequence[int]) -> list[Opened]:
        return self._reader.open(indexes)

    def prove(self, index: int) -> bytes:
        proof = self._reader.prove(index)
        assert self._before in proof
        return proof.replace(self._before, self._after, 1)


def examined(site: Site, reader: trace.Reads, index: int, vkey: str) -> trace.Verdict:
    return trace.examine(reader, index, vkey, now_us=site.clock(), verifier="test").verdict


def test_a_forged_signature_fails(site: Site) -> None:
    index = site.log(prediction())
    last = site.ledger.checkpoint().rstrip(b"\n")[-12:]
    altered = Altered(site, last, bytes(reversed(last[:8])) + last[8:])
    verdict = examined(site, altered, index, site.ledger.vkey)
    assert verdict.signature.state == "failed"
    assert verdict.inclusion.state == "ok"


def test_a_checkpoint_of_another_size_fails_signature_and_inclusion(site: Site) -> None:
    index = site.log(prediction())
    size = site.store.reader.size()
    altered = Altered(site, f"\n{size}\n".encode(), f"\n{size + 1}\n".encode())
    verdict = examined(site, altered, index, site.ledger.vkey)
    assert verdict.signature.state == "failed"
    assert verdict.inclusion.state == "failed"


def test_a_key_that_did_not_sign_is_no_verdict(site: Site) -> None:
    index = site.log(prediction())
    other = note.Signer(site.ledger.origin, b"\x07" * 32).vkey
    verdict = examined(site, site.store.reader, index, other)
    assert verdict.signature.state == "unchecked"


def test_an_unknown_retention_class_is_not_called_fine(site: Site) -> None:
    index = site.log(prediction(context={"retention_class": "brief"}))
    assert states(traced(site, index))["retention"] == "unchecked"


def test_the_floor_of_the_class_is_told(site: Site) -> None:
    index = site.log(prediction())
    assert "184 days" in traced(site, index)["verdict"]["retention"]["detail"]


def test_a_stranger_cannot_say_where_another_model_comes_from(site: Site) -> None:
    index = site.log(prediction())
    model = {"name": "credit", "version": "1", "lineage": {"training_run": "a lie"}}
    body = {"id": "v1", "time": RANGE["from"], "model": model}
    site.log(body, type="VersionReleased", by="rival")
    assert traced(site, index, "ops")["decision"]["lineage"] is None
    [row] = site.get("/v1/models", "ops").json()["items"]
    assert row["versions"][0]["unverified"] is True
    site.log(
        {**body, "model": {**model, "lineage": {"training_run": "run-7"}}}, type="VersionReleased"
    )
    site.log({**body, "id": "v2"}, type="VersionReleased", by="rival")
    site.log(
        prediction(time=RANGE["from"]), by="rival"
    )  # one prediction under its name opens no door
    assert traced(site, index, "ops")["decision"]["lineage"] == {"training_run": "run-7"}
    [row] = site.get("/v1/models", "ops").json()["items"]
    assert row["versions"][0]["lineage"] == {"training_run": "run-7"}
