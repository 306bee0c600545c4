"""The permission matrix, cell by cell against the table that people agreed on."""

import pytest

from audit.roles import ACTIONS, MATRIX, ROLES, Forbidden, Principal, decide, require

COLUMNS = ROLES[:10]
# v allow, m metadata only, r request, 2 second person, b break-glass, - deny; :x under condition x
AGREED = """
append                v  -  -  v:own_oversight  -  -  -  -  -  -
search_metadata       -  m  m  v:queue     v  v         v  -         v  v:scope
reveal_personal_data  -  -  b  v:assigned  2  v:reason  2  -         2  2:bundle
export_bundle         -  -  -  -           2  2         2  -         m  -
place_hold            -  -  -  -           r  r         2  -         -  -
approve_erasure       -  -  -  -           r  2         2  -         -  -
destroy_key           -  -  -  -           -  -         -  2:ticket  -  -
change_retention      -  -  -  -           r  2         2  -         -  -
apply_policy          -  r  2  -           -  -         -  -         -  -
acknowledge_alert     -  v  v  -           v  -         -  -         -  -
approve_retraining    -  r  2  -           2:high_risk  -  -  -      -  -
labelled_export       -  r  2  -           m  2:personal   -  -      m  -
issue_token           -  -  2  -           -  -         -  -         -  -
replay_quarantine     v:own  -  v  -       -  -         -  -         m  -
rotate_key            -  -  -  -           -  -         -  v         m  -
edit_control          -  r  -  -           2  -         -  -         -  -
promote_model         -  r  2  -           2  -         -  -         -  -
manage_users          -  -  2  -           -  -         -  -         -  -
verify_ledger         -  v  v  -           v  v         v  v         v  v
"""
SHORT = {"v": "allow", "m": "metadata", "r": "request", "2": "second", "b": "break_glass"}
CELLS = [
    (words[0], role, *cell.partition(":")[::2])
    for words in (line.split() for line in AGREED.strip().splitlines())
    for role, cell in zip(COLUMNS, words[1:], strict=True)
]


def holding(*roles: str) -> Principal:
    return Principal("someone", roles)


@pytest.mark.parametrize(("action", "role", "mark", "condition"), CELLS)
def test_each_cell_decides_as_agreed(action: str, role: str, mark: str, condition: str) -> None:
    decision = SHORT.get(mark, "deny")
    assert MATRIX[action, role] == (decision, condition)
    assert decide(holding(role), action, condition) == decision
    if decision == "deny":
        with pytest.raises(Forbidden, match="needs the role"):
            require(holding(role), action, condition)
    else:
        assert require(holding(role), action, condition) == decision
    if condition:
        assert decide(holding(role), action) == "deny"
        assert decide(holding(role), action, "another") == "deny"


def test_the_agreed_table_has_every_action_but_the_service_identities_own() -> None:
    assert {action for action, *_ in CELLS} == set(ACTIONS) - {"report_retraining", "read_receipts"}


def test_service_identities_do_only_their_own_work() -> None:
    granted = {
        (action, role)
        for action in ACTIONS
        for role in ("retrainer", "scheduler")
        if MATRIX[action, role].decision != "deny"
    }
    assert granted == {
        ("append", "retrainer"),
        ("labelled_export", "retrainer"),
        ("read_receipts", "retrainer"),
        ("report_retraining", "retrainer"),
    }


def test_no_role_at_all_is_denied_everything() -> None:
    assert {decide(holding(), action) for action in ACTIONS} == {"deny"}
    assert {decide(holding("root"), action) for action in ACTIONS} == {"deny"}


def test_the_strongest_of_several_roles_decides() -> None:
    assert decide(holding("ops", "compliance"), "search_metadata") == "allow"
    assert decide(holding("data_scientist", "ops"), "approve_retraining") == "second"


def test_a_refusal_names_the_roles_that_would_do() -> None:
    with pytest.raises(Forbidden, match="data_scientist or ops or compliance") as refused:
        require(holding("legal"), "acknowledge_alert")
    assert refused.value.needed == ("data_scientist", "ops", "compliance")


def test_a_weaker_decision_than_the_caller_accepts_is_refused() -> None:
    with pytest.raises(Forbidden) as refused:
        require(holding("data_scientist"), "approve_retraining", accept={"allow", "second"})
    assert refused.value.needed == ("ops",)


def test_an_unknown_action_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError):
        decide(holding("audit"), "fly")
