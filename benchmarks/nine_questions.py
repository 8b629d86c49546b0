"""Nine questions of different kinds, routed over the default artifact, with the reasons.

python benchmarks/nine_questions.py [--alpha 0.85]

Models: well-known ones of 2025 and 2026. Read the table as someone who knows them: would you agree?
"""

from __future__ import annotations

import argparse

from avengers_core import Router
from avengers_core.dispatch.factory import extended_router

MODELS = [
    "gpt-5-nano",
    "gpt-5-mini",
    "gpt-5.5",
    "claude-haiku-4-5",
    "claude-sonnet-4-6",
    "claude-opus-4-8",
    "gemini-3.5-flash",
    "gemini-3.1-pro-preview",
    "deepseek-v4-flash",
    "deepseek-v4-pro",
]
REPORT = "The company's revenue rose by four percent while costs fell; the board expects more of both next year. "
QUESTIONS = {
    "haiku": "Write a haiku about the first snow of the year.",
    "arithmetic": "What is 17*23?",
    "SQL": "Write a SQL query that lists, for each customer, the total of the orders in 2025, or 0 without any.",
    "failing test": "test_parse_date fails with ValueError: time data '2024-13-01' does not match format '%Y-%m-%d'. "
    "Find the bug in the repository's parser module and fix it so that all tests pass.",
    "Japanese": "来週の京都旅行の計画を立ててください。二泊三日で、紅葉の名所を中心にお願いします。",
    "tool task": "Find all open issues labelled 'bug' in the GitHub repository and write a Notion page of them.",
    "legal": "May a landlord in Germany terminate an open-ended lease because he needs the flat for his daughter?",
    "long summary": "Summarise the following report in ten bullet points. " + REPORT * 200,
    "small talk": "Hi! How are you doing today?",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", type=float, default=0.85)
    arguments = parser.parse_args()
    router = extended_router(Router.load(), {name: name for name in MODELS})
    print("| question | chosen | score (deviation) | dollars | best score | its dollars | nearest kinds of task |")
    print("|---|---|---|---|---|---|---|")
    least, most = 1e9, 0.0
    for name, question in QUESTIONS.items():
        chosen = router.route(question, alpha=arguments.alpha)
        best = router.route(question, alpha=1)
        tasks = ", ".join(f"{task} {share:.0%}" for task, share in chosen.tasks[:2])
        best_of_all = f"{best.model} {best.expected_score:.2f} | ${best.expected_cost:.2g}"
        expected = f"{chosen.expected_score:.2f} ({chosen.deviation():.2f}) | ${chosen.expected_cost:.2g}"
        print(f"| {name} | {chosen.model} | {expected} | {best_of_all} | {tasks} |")
        if len(question) < 100 and not any("agents" in task for task, share in chosen.tasks if share > 0.2):
            least, most = min(least, chosen.costs.min()), max(most, chosen.costs.max())
    print(f"\nExpected dollars of a short question, over all models: ${least:.2g} to ${most:.2g}")
    print(f"\n{router.route(QUESTIONS['SQL'], alpha=arguments.alpha).explain()}")


if __name__ == "__main__":
    main()
