"use strict";
// Draws the figures described in #figures with the page's own colours, and writes each as a CSV file on demand.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const touch = matchMedia("(pointer: coarse)").matches;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  // A copy for plotly: variable names become colours, text becomes text that plotly does not read as markup.
  function prepared(value, key) {
    if (typeof value === "string") {
      if (/color/.test(key) && value.startsWith("--")) return colour(value);
      return key === "hovertemplate" ? value : escaped(value);
    }
    if (Array.isArray(value)) return value.map((item) => prepared(item, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, prepared(item, name)]));
  }

  function axis(own) {
    const common = { gridcolor: "--line", linecolor: "--rule", zerolinecolor: "--line", automargin: true };
    return { ...common, fixedrange: touch, ticks: "", separatethousands: true, ...own };
  }

  // On a phone a legend beside the figure leaves no room for it: it goes below, and the figure grows by its lines.
  function legendOf(figure) {
    const place = document.getElementById(figure.id);
    const beside = figure.layout.showlegend && figure.layout.legend?.orientation !== "h";
    const narrow = beside && place.clientWidth < 560;
    place.style.height = `${figure.height + (narrow ? 26 * Math.ceil(figure.traces.length / 2) : 0)}px`;
    return narrow ? { legend: { orientation: "h", x: 0, y: -0.22, yanchor: "top" } } : {};
  }

  function layoutOf(figure) {
    const paper = "paper" in document.documentElement.dataset;
    return prepared({
      ...figure.layout,
      ...legendOf(figure),
      ...(paper && { width: document.getElementById(figure.id).clientWidth }),
      xaxis: axis(figure.layout.xaxis),
      yaxis: axis(figure.layout.yaxis),
      margin: { l: 44, r: 8, t: 12, b: 40 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "--muted" },
      hoverlabel: { bgcolor: "--surface", bordercolor: "--rule", font: { color: "--ink" } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "--rule", activecolor: "--ink" },
      dragmode: touch ? false : "zoom",
    }, "");
  }

  function draw(figure) {
    return Plotly.react(figure.id, prepared(figure.traces, ""), layoutOf(figure), config);
  }

  // One figure a turn, so that the page can be read and scrolled while they appear.
  async function drawAll() {
    for (const figure of figures) {
      await draw(figure);
      await new Promise((resolve) => setTimeout(resolve));
    }
    document.documentElement.dataset.figures = "drawn";
  }

  function cells(trace) {
    if (trace.z === undefined) {
      return trace.x.map((x, i) => ({ x, y: trace.y[i], name: trace.name, customdata: trace.customdata?.[i] }));
    }
    const all = trace.z.flatMap((row, i) => row.map((z, j) => ({ x: trace.x[j], y: trace.y[i], z })));
    return all.filter((cell) => cell.z !== null);
  }

  function csv(figure) {
    const quoted = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
    const rows = figure.traces.flatMap(cells).map((cell) => figure.columns.map(([, key]) => cell[key]));
    return [figure.columns.map(([heading]) => heading), ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
  }

  function download(figure) {
    const address = URL.createObjectURL(new Blob([csv(figure)], { type: "text/csv;charset=utf-8" }));
    const link = Object.assign(document.createElement("a"), { href: address, download: figure.file });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  for (const button of document.querySelectorAll("button[data-figure]")) {
    button.addEventListener("click", () => download(figures.find((figure) => figure.id === button.dataset.figure)));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figures.forEach(draw));

  // Paper is white and narrow: print in light colours, at its width, with everything unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((details) => { details.open = true; });
    document.documentElement.dataset.paper = "";
    figures.forEach(draw);
  });
  addEventListener("afterprint", () => {
    folded.forEach((details) => { details.open = false; });
    delete document.documentElement.dataset.paper;
    figures.forEach(draw);
  });
  drawAll();
})();
