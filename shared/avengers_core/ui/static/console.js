"use strict";

const root = document.documentElement;

function style(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

function dollars(value) {
  if (value == null) return "";
  if (value === 0) return "$0";
  return value >= 1 ? "$" + value.toFixed(2) : "$" + Number(value.toPrecision(2));
}

// Bars of dollars by day, one colour a model, stacked.
function draw(box) {
  const data = JSON.parse(box.parentElement.querySelector(".chart-data").textContent);
  const names = Object.keys(data.series);
  const days = data.days.map((day) => Date.parse(day + "T00:00:00Z") / 1000);
  const last = days[days.length - 1];
  const stacked = [];
  let below = days.map(() => 0);
  for (const name of names) {
    below = below.map((sum, day) => sum + data.series[name][day]);
    stacked.push(below);
  }
  const order = names.map((_, place) => place).reverse(); // the tallest is drawn first
  const axis = { stroke: style("--dim"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") } };
  const options = {
    width: box.clientWidth,
    height: 260,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { y: false, points: { show: false } },
    scales: {
      x: { range: () => [last - 86400 * Math.max((last - days[0]) / 86400, 6) - 86400 * 0.7, last + 86400 * 0.7] },
      y: { range: (_, low, high) => [0, high * 1.08 || 1] },
    },
    axes: [
      { ...axis, incrs: [1, 2, 7, 14, 28, 91].map((days) => days * 86400), values: "{YYYY}-{MM}-{DD}", space: 90 },
      { ...axis, size: 64, values: (_, ticks) => ticks.map(dollars) },
    ],
    series: [
      { label: "day", value: (_, seconds) => (seconds == null ? "" : new Date(seconds * 1000).toISOString().slice(0, 10)) },
      ...order.map((place) => ({
        label: names[place],
        fill: style("--c" + place),
        stroke: style("--c" + place),
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars({ size: [0.75, 40] }),
        value: (_, __, ___, day) => (day == null ? "" : dollars(data.series[names[place]][day])),
      })),
    ],
  };
  box.replaceChildren();
  new uPlot(options, [days, ...order.map((place) => stacked[place])], box);
}

function drawAll() {
  document.querySelectorAll(".chart").forEach(draw);
}

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "figures") {
    const newest = document.getElementById("newest").dataset.newest;
    event.detail.target.setAttribute("hx-vals", JSON.stringify({ seen: newest }));
    drawAll();
  }
});

document.getElementById("theme").addEventListener("click", () => {
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("avengers-theme", root.dataset.theme);
  drawAll();
});

document.addEventListener("input", (event) => {
  const shown = document.querySelector(`output[for="${event.target.id}"]`);
  if (event.target.type === "range" && shown) {
    shown.value = Number(event.target.value).toFixed(2);
    document.querySelector(`input[name="knob"][value="${event.target.name}"]`).checked = true;
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const code = document.getElementById(button.dataset.copies);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code); // without https the clipboard may be closed: it is marked, to be copied by hand
    button.textContent = "Marked";
  }
});

let pending;
addEventListener("resize", () => {
  clearTimeout(pending);
  pending = setTimeout(drawAll, 150);
});

drawAll();
