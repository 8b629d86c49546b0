"""A batch with a budget: expensive models drop out as it nears, and past it calls are refused with a clear error."""

import tempfile

from avengers_core import BudgetError

from avengers_langchain import Budget, ChatAvengers

ledger = f"{tempfile.mkdtemp()}/ledger.sqlite"
llm = ChatAvengers(
    models=["gpt-5-mini", "gpt-5.1"],
    alpha=1.0,
    ledger=ledger,
    budget=Budget(per_session=0.01, per_day=5.0),
)
questions = [f"Prove that {n} is the sum of four squares." for n in range(60)]
answers = llm.batch(
    questions,
    {"max_concurrency": 4, "tags": ["nightly"], "configurable": {"session_id": "four squares"}},
    return_exceptions=True,
)
refused = [answer for answer in answers if isinstance(answer, BudgetError)]
print(f"{len(answers) - len(refused)} answered, {len(refused)} refused by the budget")
if refused:
    print(refused[0])
assert llm.spending
for row in llm.spending.report("model"):
    print(f"{row['model']}: {row['calls']} calls, ${row['cost_usd']:.6f}")
print(f"the same from the shell: avengers ledger {ledger} --by tag")
