"""Questions to a made database, to be answered by a query in SQL."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from .types import WRONG_ANSWERS, Item
from .words import CITIES, NAMES, PRODUCTS

__all__ = ["databases"]

_SCHEMA = """CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, joined TEXT);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, price INTEGER);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, day TEXT);
CREATE TABLE items (order_id INTEGER, product_id INTEGER, quantity INTEGER);"""

_FORM = """

The SQLite database has these tables; dates are texts such as 2026-03-14, and prices are whole dollars.

```sql
{schema}
```

Write one SELECT statement in one code block. Return exactly the columns that are asked for, in that order{ordered}."""

#: Names that tables and columns may have instead.
_SYNONYMS = {
    "customers": ("customers", "clients", "members"),
    "products": ("products", "goods", "articles"),
    "orders": ("orders", "purchases", "sales"),
    "items": ("items", "order_lines", "positions"),
    "city": ("city", "town", "place_of_residence"),
    "quantity": ("quantity", "amount", "pieces"),
    "price": ("price", "unit_price", "dollars"),
}

_SPEND = "SUM(i.quantity * p.price)"
_JOINED = "orders o JOIN items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id"

#: By level: what is asked, the query, what to replace in it for wrong ones, and whether the order of rows counts.
_Template = tuple[str, str, Sequence[tuple[str, str]], bool]
_TEMPLATES: dict[int, Sequence[_Template]] = {
    1: (
        ("How many customers live in {city}?", "SELECT COUNT(*) FROM customers WHERE city = '{city}'",
         (("=", "<>"), ("'{city}'", "'{other}'"), ("COUNT(*)", "name"), (" WHERE city = '{city}'", ""), ("COUNT(*)", "COUNT(*) + 1"), ("COUNT(*)", "MAX(id)"), ("COUNT(*)", "city, COUNT(*)")), False),
        ("List the names of the products that cost more than {n} dollars, in alphabetical order.", "SELECT name FROM products WHERE price > {n} ORDER BY name",
         ((">", "<"), (">", "<="), ("name FROM", "id FROM"), (" WHERE price > {n}", ""), ("ORDER BY name", "ORDER BY name DESC"), ("ORDER BY name", "ORDER BY price DESC, name DESC"), ("name FROM", "name, price FROM")), True),
    ),
    2: (
        ("For each city, give the city and its number of customers, for cities with at least 2 of them, most customers first and cities with equally many in alphabetical order.",
         "SELECT city, COUNT(*) FROM customers GROUP BY city HAVING COUNT(*) >= 2 ORDER BY COUNT(*) DESC, city",
         ((">= 2", "> 2"), (">= 2", ">= 1"), ("DESC, city", "ASC, city"), ("DESC, city", "DESC, city DESC"), ("city, COUNT(*) FROM", "COUNT(*), city FROM"), (">= 2", "< 2"), (" DESC, city", "")), True),
        ("How many orders were placed in each month from {month} on? Give the month, such as 2026-03, and the number, months in order; leave out months without orders.",
         "SELECT substr(day, 1, 7), COUNT(*) FROM orders WHERE day >= '{month}' GROUP BY 1 ORDER BY 1",
         ((">=", "<"), (" WHERE day >= '{month}'", ""), ("1, 7", "1, 4"), ("ORDER BY 1", "ORDER BY 1 DESC"), ("COUNT(*) FROM", "COUNT(DISTINCT customer_id) + 1 FROM"), ("substr(day, 1, 7)", "substr(day, 6, 2)"), ("COUNT(*)", "MAX(id)")), True),
    ),
    3: (
        ("For each customer who has spent more than {big} dollars in all, give the name and the dollars spent (quantity times price over all items of all orders).",
         f"SELECT c.name, {_SPEND} FROM customers c JOIN {_JOINED.replace('orders o', 'orders o ON o.customer_id = c.id')} GROUP BY c.id HAVING {_SPEND} > {{big}}",
         ((" > {big}", " <= {big}"), (" HAVING " + _SPEND + " > {big}", ""), (_SPEND, "SUM(p.price)"), (_SPEND, "SUM(i.quantity)"), (_SPEND, "MAX(i.quantity * p.price)"), ("c.name, ", ""), ("GROUP BY c.id", "GROUP BY o.id")), False),
        ("Which products have never been ordered by a customer from {city}? Give the names in alphabetical order.",
         f"SELECT name FROM products WHERE id NOT IN (SELECT i.product_id FROM customers c JOIN {_JOINED.replace('orders o', 'orders o ON o.customer_id = c.id')} WHERE c.city = '{{city}}') ORDER BY name",
         (("NOT IN", "IN"), (" WHERE c.city = '{city}'", ""), ("c.city = ", "c.city <> "), ("ORDER BY name", "ORDER BY name DESC"), ("SELECT name", "SELECT id"), ("SELECT i.product_id", "SELECT i.order_id"), ("SELECT name", "SELECT name, price")), True),
    ),
    4: (
        ("For each city, who is the customer with the most orders? Among customers with equally many, take the one with the smallest id. Give city, name and number of orders, cities in alphabetical order; leave out cities without orders.",
         "SELECT city, name, n FROM (SELECT c.city, c.name, COUNT(*) AS n, ROW_NUMBER() OVER (PARTITION BY c.city ORDER BY COUNT(*) DESC, c.id) AS place FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id) WHERE place = 1 ORDER BY city",
         (("COUNT(*) DESC, c.id", "COUNT(*), c.id"), ("DESC, c.id", "DESC, c.id DESC"), (" WHERE place = 1", ""), ("place = 1", "place = 2"), ("PARTITION BY c.city ", ""), ("ORDER BY city", "ORDER BY n"), ("city, name, n", "city, name"), ("ORDER BY city", "ORDER BY city DESC")), True),
        ("Give the id and the dollars of each order that is worth more than the average order (the sum of quantity times price over its items; orders without items do not count), the dearest first, equal ones by id.",
         f"WITH w AS (SELECT o.id, {_SPEND} AS d FROM {_JOINED} GROUP BY o.id) SELECT id, d FROM w WHERE d > (SELECT AVG(d) FROM w) ORDER BY d DESC, id",
         (("d > (", "d < ("), ("AVG(d)", "MIN(d)"), ("ORDER BY d DESC, id", "ORDER BY id"), (_SPEND, "SUM(p.price)"), ("AVG(d)", "AVG(d) / 2"), ("AVG(d)", "MAX(d) * 0.9"), ("SELECT id, d FROM", "SELECT id FROM"), (" WHERE d > (SELECT AVG(d) FROM w)", "")), True),
    ),
    5: (
        ("For each customer with at least 3 orders that have items: order the customer's orders by day, then by id, and add up their dollars (quantity times price over the items) one after the other. Give the name, and the id of the first order with which the customer's total reaches half of the customer's final total, by customer id.",
         f"WITH w AS (SELECT o.customer_id AS c, o.id, o.day, {_SPEND} AS d FROM {_JOINED} GROUP BY o.id), r AS (SELECT c, id, SUM(d) OVER (PARTITION BY c ORDER BY day, id) AS t, SUM(d) OVER (PARTITION BY c) AS a, COUNT(*) OVER (PARTITION BY c) AS n, day FROM w), f AS (SELECT c, id, ROW_NUMBER() OVER (PARTITION BY c ORDER BY day, id) AS place FROM r WHERE 2 * t >= a AND n >= 3) SELECT customers.name, f.id FROM f JOIN customers ON customers.id = f.c WHERE place = 1 ORDER BY f.c",
         (("2 * t >= a", "t >= a"), ("2 * t >= a", "4 * t >= a"), ("n >= 3", "n >= 4"), ("n >= 3", "n >= 1"), ("place = 1", "place = 2"), ("ORDER BY f.c", "ORDER BY f.c DESC"), ("f.id FROM", "f.c FROM"), ("customers.name, f.id", "f.id"), (" WHERE place = 1", "")), True),
        ("Which pairs of different products occur together in at least 3 orders? Give both names, the one that comes first in the alphabet first, and in how many orders, by this number, most first, and then by the names. An order that has a product in several lines counts once.",
         "WITH u AS (SELECT DISTINCT i.order_id, p.name FROM items i JOIN products p ON p.id = i.product_id) SELECT a.name, b.name, COUNT(*) FROM u a JOIN u b ON a.order_id = b.order_id AND a.name < b.name GROUP BY 1, 2 HAVING COUNT(*) >= 3 ORDER BY 3 DESC, 1, 2",
         (("a.name < b.name", "a.name <> b.name"), (">= 3", ">= 4"), (">= 3", ">= 2"), ("a.name < b.name", "a.name > b.name"), ("3 DESC, 1, 2", "1, 2"), ("COUNT(*) FROM", "COUNT(*) + 1 FROM"), ("a.name, b.name, COUNT(*)", "b.name, a.name, COUNT(*)"), (" HAVING COUNT(*) >= 3", "")), True),
    ),
}  # fmt: skip


def databases(rng: random.Random, level: int) -> Item:
    """Write a query: from a count (1) to running totals and pairs of products (5)."""
    while True:
        question, query, mutations, ordered = rng.choice(_TEMPLATES[level])
        names = {name: rng.choice(others) for name, others in _SYNONYMS.items()}
        schema, rows = _renamed(_SCHEMA, names), _renamed(_rows(rng), names)
        connection = sqlite3.connect(":memory:")
        with connection:
            connection.executescript(f"{schema}\n{rows}")
        listed = _renamed("SELECT DISTINCT city FROM customers ORDER BY city", names)
        cities = [city for (city,) in connection.execute(listed)]
        places = {
            "city": (city := rng.choice(cities)),
            "other": next(one for one in (*cities, "Oslo") if one != city),
            "n": str(rng.randrange(15, 60)),
            "big": str(rng.randrange(300, 900)),
            "month": f"2026-{rng.randrange(3, 8):02}",
        }
        text, statement = question.format(**places), _renamed(query, names).format(**places)
        result = connection.execute(statement).fetchall()
        wrong: list[str] = []
        for old, new in mutations:
            before, after = (_renamed(part, names).format(**places) for part in (old, new))
            mutant = statement.replace(before, after)
            other = connection.execute(mutant).fetchall()
            if (other if ordered else sorted(other, key=str)) != (result if ordered else sorted(result, key=str)):
                wrong.append(mutant)
        connection.close()
        if result and len(set(wrong)) >= WRONG_ANSWERS:
            break
    answer = {"setup": f"{schema}\n{rows}", "rows": [list(row) for row in result], "ordered": ordered}
    form = _FORM.format(schema=schema, ordered="" if ordered else "; the order of the rows does not matter")
    wrong = [f"```sql\n{one}\n```" for one in dict.fromkeys(wrong)][:WRONG_ANSWERS]
    return Item(text, text + form, "sql", answer, f"```sql\n{statement}\n```", wrong)


def _renamed(text: str, names: dict[str, str]) -> str:
    """A text in SQL with other names of tables and columns."""
    return re.sub("|".join(rf"(?<![{{'\w]){name}\b" for name in names), lambda found: names[found.group()], text)


def _rows(rng: random.Random) -> str:
    cities = rng.sample(CITIES, 4)
    customers = [(n, name, rng.choice(cities), _day(rng)) for n, name in enumerate(rng.sample(NAMES, 12), start=1)]
    products = [(n, name, rng.randrange(3, 90)) for n, name in enumerate(rng.sample(PRODUCTS, 9), start=1)]
    orders = [(n, rng.randrange(1, 11), _day(rng)) for n in range(1, 41)]
    items = [(rng.randrange(1, 39), rng.randrange(1, 9), rng.randrange(1, 6)) for _ in range(90)]
    tables: dict[str, list[tuple[Any, ...]]] = {
        "customers": customers,
        "products": products,
        "orders": orders,
        "items": items,
    }
    return "\n".join(f"INSERT INTO {name} VALUES {', '.join(map(str, rows))};" for name, rows in tables.items())


def _day(rng: random.Random) -> str:
    return f"2026-{rng.randrange(1, 11):02}-{rng.randrange(1, 29):02}"
