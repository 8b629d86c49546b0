"""Ages of people, in eight languages: one is so much older than another, and somewhere an age is given."""

from __future__ import annotations

import random
import re
from typing import NamedTuple

from .arithmetic import numeric_item
from .types import Item
from .words import NAMES

__all__ = ["LANGUAGES", "languages"]


class _Language(NamedTuple):
    """Sentences of one language, with places for names and numbers."""

    age: str
    older: str
    younger: str
    twice: str
    ask: str
    ask_both: str
    form: str


LANGUAGES = {
    "German": _Language(
        "{a} ist {n} Jahre alt.", "{a} ist {n} Jahre älter als {b}.", "{a} ist {n} Jahre jünger als {b}.",
        "{a} ist doppelt so alt wie {b}.", "Wie alt ist {a}?", "Wie alt sind {a} und {b} zusammen?",
        "Antworte auf Deutsch und schließe mit einer Zeile der Form 'Antwort: <Zahl>'.",
    ),
    "French": _Language(
        "{a} a {n} ans.", "{a} a {n} ans de plus que {b}.", "{a} a {n} ans de moins que {b}.",
        "{a} a le double de l'âge de {b}.", "Quel âge a {a} ?", "Quel est l'âge total de {a} et de {b} ?",
        "Réponds en français et termine par une ligne de la forme « Réponse : <nombre> ».",
    ),
    "Spanish": _Language(
        "{a} tiene {n} años.", "{a} tiene {n} años más que {b}.", "{a} tiene {n} años menos que {b}.",
        "{a} tiene el doble de la edad de {b}.", "¿Cuántos años tiene {a}?", "¿Cuánto suman las edades de {a} y {b}?",
        "Responde en español y termina con una línea de la forma 'Respuesta: <número>'.",
    ),
    "Italian": _Language(
        "{a} ha {n} anni.", "{a} ha {n} anni più di {b}.", "{a} ha {n} anni meno di {b}.",
        "{a} ha il doppio dell'età di {b}.", "Quanti anni ha {a}?", "Quanto fa la somma delle età di {a} e {b}?",
        "Rispondi in italiano e termina con una riga della forma 'Risposta: <numero>'.",
    ),
    "Portuguese": _Language(
        "{a} tem {n} anos.", "{a} tem {n} anos a mais do que {b}.", "{a} tem {n} anos a menos do que {b}.",
        "{a} tem o dobro da idade de {b}.", "Quantos anos tem {a}?", "Qual é a soma das idades de {a} e {b}?",
        "Responda em português e termine com uma linha da forma 'Resposta: <número>'.",
    ),
    "Dutch": _Language(
        "{a} is {n} jaar oud.", "{a} is {n} jaar ouder dan {b}.", "{a} is {n} jaar jonger dan {b}.",
        "{a} is twee keer zo oud als {b}.", "Hoe oud is {a}?", "Hoe oud zijn {a} en {b} samen?",
        "Antwoord in het Nederlands en eindig met een regel van de vorm 'Antwoord: <getal>'.",
    ),
    "Japanese": _Language(
        "{a}は{n}歳です。", "{a}は{b}より{n}歳年上です。", "{a}は{b}より{n}歳年下です。",
        "{a}の年齢は{b}の2倍です。", "{a}は何歳ですか。", "{a}と{b}の年齢の合計は何歳ですか。",
        "日本語で答え、最後の行を「答え: <数字>」の形にしてください。",
    ),
    "Chinese": _Language(
        "{a}{n}岁。", "{a}比{b}大{n}岁。", "{a}比{b}小{n}岁。",
        "{a}的年龄是{b}的两倍。", "{a}几岁？", "{a}和{b}的年龄之和是多少？",
        "请用中文回答，最后一行的格式为“答案：<数字>”。",
    ),
}  # fmt: skip

#: Steps from the age that is given to the one that is asked for, and people beside them, by level.
_STEPS = {1: (1, 0), 2: (3, 1), 3: (6, 3), 4: (10, 6), 5: (16, 8)}


def languages(rng: random.Random, level: int) -> Item:
    """Work out an age: over one step (1), or sixteen in any order with eight people too many (5)."""
    language = LANGUAGES[rng.choice(list(LANGUAGES))]
    steps, more = _STEPS[level]
    names = rng.sample(NAMES, steps + 1 + more)
    ages = [rng.randrange(8, 60)]
    sentences = [language.age.format(a=names[0], n=ages[0])]
    for place in range(1, len(names)):
        base = place - 1 if place <= steps else rng.randrange(place)
        text, age = _step(language, names[place], names[base], ages[base], rng, level)
        sentences.append(text)
        ages.append(age)
    if level > 1:
        rng.shuffle(sentences)
    wanted, other = steps, rng.randrange(steps)
    if level >= 3:
        ask, number = language.ask_both.format(a=names[wanted], b=names[other]), ages[wanted] + ages[other]
    else:
        ask, number = language.ask.format(a=names[wanted]), ages[wanted]
    query = f"{' '.join(sentences)} {ask}"
    if language is LANGUAGES["French"]:
        query = re.sub(r"\b(d|qu)e (?=[AEIOUYH])", r"\1'", query)
    return numeric_item(query, f"{query} {language.form}", number, rng)


def _step(language: _Language, name: str, base: str, age: int, rng: random.Random, level: int) -> tuple[str, int]:
    """A sentence that relates a person's age to another's, and the person's age."""
    if level >= 3 and age < 40 and rng.random() < 0.25:
        return language.twice.format(a=name, b=base), 2 * age
    years = rng.randrange(2, 30)
    if age - years >= 5 and rng.random() < 0.6:
        return language.younger.format(a=name, b=base, n=years), age - years
    return language.older.format(a=name, b=base, n=years), age + years
