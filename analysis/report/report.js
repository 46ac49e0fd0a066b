/* Draws the curves of a report from its data, again whenever newer data come: one function for both pages. */
"use strict";
(() => {
  const given = JSON.parse(document.getElementById("data").textContent);
  const colours = given.colours;
  const cards = new Map();
  const GREY = "#7d8791", MARK = "#98a2ac", INK = "#1d2329";
  const MOST_OF_BANDS = 0.5;  // of the height of the curves, that bands may add to an axis on either side
  const SETTLED = 100;  // cm⁻¹: what rises at zero would dwarf the rest

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  // plotly reads a few tags in text: names of users are no tags
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const faded = (colour, part) => {
    const [red, green, blue] = [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
    return `rgba(${red},${green},${blue},${part})`;
  };
  // plain numbers as long as they are short
  const numbers = (limits) => ({ exponentformat: limits && Math.max(...limits.map(Math.abs)) < 1e6 && Math.max(...limits.map(Math.abs)) > 1e-3 ? "none" : "power" });
  const known = (values) => values.filter((value) => value !== null && Number.isFinite(value));

  function card(section, key, title, className = "card") {
    const parent = document.querySelector(`#${section} > div`);
    document.getElementById(section).hidden = false;
    if (!cards.has(key)) {
      const one = { plot: make("div", { className: "plot" }), tools: make("div", { className: "tools" }), options: {} };
      one.title = make("h3");
      one.remark = make("p", { className: "remark" });
      one.notes = make("div");
      parent.append(make("div", { className }, make("header", {}, one.title, one.tools), one.plot, one.remark, one.notes));
      cards.set(key, one);
      resized.observe(one.plot);
    }
    cards.get(key).title.textContent = title;
    return cards.get(key);
  }

  function option(one, name, text, checked = false) {
    if (!(name in one.options)) {
      one.options[name] = checked;
      const box = make("input", { type: "checkbox", checked });
      box.addEventListener("change", () => { one.options[name] = box.checked; one.draw(); });
      one.tools.append(make("label", {}, box, text));
    }
    return one.options[name];
  }

  function layout(x, y, extra = {}) {
    const axis = { zeroline: false, gridcolor: "#e9edf0", linecolor: "#b8c0c8", ticks: "outside", tickcolor: "#b8c0c8", automargin: true };
    return {
      margin: { l: 62, r: 14, t: 22, b: 46 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff", uirevision: "kept",
      font: { family: "system-ui, 'Segoe UI', Roboto, sans-serif", size: 13, color: INK },
      hovermode: "closest", showlegend: false, separators: ".\u2009",
      legend: { orientation: "h", y: 1.0, yanchor: "bottom", x: 0, font: { size: 12 } },
      ...extra,
      xaxis: { ...axis, title: { text: x, standoff: 8 }, ...(extra.xaxis || {}) },
      yaxis: { ...axis, title: { text: y, standoff: 8, font: { size: 12.5 } }, exponentformat: "power", separatethousands: true, ...(extra.yaxis || {}) },
    };
  }

  const drawn = (one, traces, shape) => Plotly.react(one.plot, traces, shape, { responsive: true, displaylogo: false, displayModeBar: window.innerWidth >= 640,
    modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]] });
  const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => target.data && Plotly.Plots.resize(target)));

  /* The area between two curves: a polygon for each piece in which both are known. */
  function band(x, low, high, colour, name, extra = {}) {
    const around = { x: [], y: [] };
    for (let first = 0; first < x.length; first++) {
      if (low[first] === null || high[first] === null) continue;
      let last = first;
      while (last + 1 < x.length && low[last + 1] !== null && high[last + 1] !== null) last++;
      const piece = x.slice(first, last + 1);
      around.x.push(...piece, ...piece.slice().reverse(), null);
      around.y.push(...high.slice(first, last + 1), ...low.slice(first, last + 1).reverse(), null);
      first = last;
    }
    return [{ ...around, mode: "lines", line: { width: 0, color: colour }, fill: "toself", fillcolor: faded(colour, 0.25), name,
      hoverinfo: "skip", legendgroup: name, showlegend: false, ...extra }];
  }

  const moved = (values, errors, sign) => values.map((value, place) =>
    (value === null || errors[place] === null ? null : value + sign * errors[place]));

  /* How high and how low curves and their bands come; bands that are far wider than curves are high count in part. */
  function reach(curves, x, lowest) {
    let [high, low] = [0, 0], [above, below] = [0, 0];
    for (const curve of curves) {
      const inside = x.map((value) => value >= lowest);
      const values = known(curve.y.filter((_, place) => inside[place]));
      high = Math.max(high, ...values); low = Math.min(low, ...values);
      for (const errors of [curve.error, curve.model_error].filter(Boolean)) {
        above = Math.max(above, ...known(moved(curve.y, errors, 1).filter((_, place) => inside[place])));
        below = Math.min(below, ...known(moved(curve.y, errors, -1).filter((_, place) => inside[place])));
      }
    }
    const furthest = MOST_OF_BANDS * (high - low);
    return [Math.min(Math.max(high, above), high + furthest), Math.max(Math.min(low, below), low - furthest)];
  }

  function notes(one, content) {
    const entries = Object.entries(content);
    const list = make("dl", { className: "notes" });
    for (const [topic, note] of entries) list.append(make("dt", { textContent: topic }), make("dd", { textContent: note }));
    const open = one.notes.querySelector("details")?.open || false;
    one.notes.replaceChildren(...(entries.length ? [make("details", { open }, make("summary", { textContent: "How it was made" }), list)] : []));
  }

  function remark(one, preliminary, text) {
    one.remark.replaceChildren(...(preliminary ? [make("span", { className: "preliminary", textContent: `Preliminary: ${preliminary}. ` })] : []), text);
  }

  // an area that reaches below zero has no lower edge on a logarithmic axis: it ends at that of the picture
  const above = (values, floor) => values.map((value) => (value === null ? null : Math.max(value, floor)));

  function drawCurves(one, x, curves, { hover, marks = [], preliminary, floor = -Infinity, members }) {
    const traces = [];
    curves.forEach((curve, place) => {
      const colour = preliminary ? GREY : colours[place % colours.length];
      const name = plain(curve.name) || "mean over the run";
      if (members) {
        for (const member of curve.members || []) {
          traces.push({ x, y: member.y, mode: "lines", line: { width: 0.8, color: faded(colours[place % colours.length], 0.45) },
            name: plain(member.name), showlegend: false, hovertemplate: `${plain(member.name)}<extra></extra>` });
        }
      }
      if (curve.model_error) {
        traces.push(...band(x, above(moved(curve.y, curve.model_error, -1), floor), above(moved(curve.y, curve.model_error, 1), floor), "#3a424a", plain(curve.model_label), {
          fillcolor: "rgba(0,0,0,0)", fillpattern: { shape: "/", size: 7, solidity: 0.12, fgcolor: "#3a424a" }, showlegend: place === 0 }));
      }
      if (curve.error) {
        traces.push(...band(x, above(moved(curve.y, curve.error, -1), floor), above(moved(curve.y, curve.error, 1), floor), colour, "sampling error",
          { showlegend: place === 0, legendgroup: `error ${place}` }));
      }
      // what was seen too rarely for an error is dotted
      const unsure = curve.error !== null && curve.error.some((error, point) => error === null && curve.y[point] !== null);
      if (unsure) traces.push({ x, y: curve.y, mode: "lines", line: { color: colour, width: 1, dash: "dot" }, hoverinfo: "skip", showlegend: false });
      const sure = unsure ? curve.y.map((value, point) => (curve.error[point] === null ? null : value)) : curve.y;
      traces.push({ x, y: sure, mode: "lines", name, line: { color: colour, width: 1.8, dash: preliminary ? ["dash", "dot", "dashdot"][place % 3] : "solid" },
        customdata: curve.y.map((value, point) => hover.more(value, curve.error ? curve.error[point] : null)),
        hovertemplate: `${hover.text}%{customdata}<extra></extra>`, showlegend: curves.length > 1 || Boolean(curve.error || curve.model_error) });
    });
    const shapes = marks.map((mark) => ({ type: "line", x0: mark, x1: mark, yref: "paper", y0: 0, y1: 1, layer: "below",
      line: { color: MARK, width: 1, dash: "dash" } }));
    const annotations = marks.map((mark) => ({ x: mark, y: 1, yref: "paper", yanchor: "top", xanchor: "left", showarrow: false,
      text: mark.toFixed(0), font: { size: 10, color: GREY } }));
    if (marks.length) {
      traces.push({ x: [null], y: [null], mode: "lines", name: "experiment, position", line: { color: MARK, width: 1, dash: "dash" } });
    }
    return { traces, shapes, annotations };
  }

  function range(curves, x, lowest, log) {
    if (!log) {
      const [high, low] = reach(curves, x, lowest);
      const span = Math.max(high - low, 1e-300);
      return [low < -0.02 * span ? low - 0.06 * span : 0, high + 0.1 * span];
    }
    const positive = known(curves.flatMap((curve) => curve.y.filter((value, place) => x[place] >= lowest && value > 0)));
    if (!positive.length) return undefined;
    const top = Math.log10(Math.max(...positive));
    return [Math.max(Math.log10(Math.min(...positive)), top - 5) - 0.1, top + 0.2];
  }

  function drawSpectrum(spectrum) {
    spectrum.panels.forEach((panel, place) => {
      const name = spectrum.panels.length > 1 ? `, ${panel.curves.map((curve) => curve.name).filter(Boolean).join(" and ")}` : "";
      const title = spectrum.title + name + (spectrum.preliminary ? " – preliminary" : "");
      const one = card("spectra", `${spectrum.kind} ${place}`, title, "card tall");
      const count = panel.curves.flatMap((curve) => curve.members).length;
      one.draw = () => {
        const log = option(one, "log", "log scale");
        const members = count > 0 && option(one, "members", `${count} members`);
        const hover = { text: "%{x:.0f} cm⁻¹: %{y:.4g}", more: (value, error) => (error === null ? "" : ` ± ${error.toPrecision(2)}`) };
        const limits = range(panel.curves, spectrum.x, SETTLED, log), floor = log && limits ? 10 ** limits[0] : -Infinity;
        const preliminary = panel.curves.every((curve) => curve.error === null);
        const found = drawCurves(one, spectrum.x, panel.curves, { hover, marks: spectrum.marks, preliminary, floor, members });
        const shape = layout(spectrum.x_label, panel.label, {
          showlegend: true, shapes: found.shapes, annotations: found.annotations,
          xaxis: { range: [0, Math.min(4200, spectrum.x[spectrum.x.length - 1])] },
          yaxis: { type: log ? "log" : "linear", range: limits, ...(log ? {} : numbers(limits)) },
        });
        shape.uirevision = `${log}`;
        drawn(one, found.traces, shape);
      };
      one.draw();
      const bands = place === 0 ? spectrum.bands.map((band) => uncertain(band.position, band.position_error)) : [];
      remark(one, spectrum.preliminary, `${bands.length ? `Bands at ${bands.join(", ")} cm⁻¹. ` : ""}${spectrum.remark}`);
      notes(one, place === 0 ? spectrum.notes : {});
    });
  }

  function drawProfile(profile, number) {
    const one = card("profiles", `profile ${number}`, `Free energy along ${profile.variable}${profile.preliminary ? " – preliminary" : ""}`, "card tall");
    one.draw = () => {
      const hover = { text: "%{x:.4g}: %{y:.4g} eV", more: (value, error) =>
        `${error === null ? "" : ` ± ${error.toPrecision(2)}`}${value === null ? "" : ` (${(value / profile.thermal_energy).toPrecision(3)} kT)`}` };
      const found = drawCurves(one, profile.x, profile.curves, { hover, preliminary: profile.preliminary });
      const [high, low] = reach(profile.curves, profile.x, -Infinity);
      const margin = 0.05 * (high - low) + 0.1 * profile.thermal_energy;
      drawn(one, found.traces, layout(plain(profile.variable), "free energy / eV", { showlegend: true, yaxis: { range: [low - margin, high + margin] } }));
    };
    one.draw();
    remark(one, profile.preliminary, profile.remark);
    notes(one, profile.notes);
  }

  function drawSeries(section, series) {
    const one = card(section, `${section} ${series.name}`, series.label);
    const colour = colours[0];  // each stands alone: one colour for all
    one.draw = () => {
      const traces = [], unit = series.unit ? ` ${plain(series.unit)}` : "";
      if (series.low) traces.push(...band(series.x, series.low, series.high, colour, "extremes"));
      traces.push({ x: series.x, y: series.y, mode: series.x.length > 1 ? "lines" : "markers", line: { color: colour, width: 1.3 },
        hovertemplate: `%{x:.4g}: %{y:.6g}${unit}<extra></extra>` });
      const last = series.x[series.x.length - 1];
      if (series.target !== null) {
        traces.push({ x: [series.x[0], last], y: [series.target, series.target], mode: "lines", line: { color: INK, width: 1, dash: "dot" },
          hovertemplate: `target ${series.target}${unit}<extra></extra>` });
      }
      if (series.mean) {
        const { value, begins } = series.mean;
        traces.push({ x: [begins, last], y: [value, value], mode: "lines", line: { color: "#d55e00", width: 2, dash: "dash" },
          hovertemplate: `mean %{y:.6g}${unit}<extra></extra>` });
      }
      // collapsed ring polymers spread at once: the first twentieth is left out of the scale
      const settled = Math.floor(series.x.length / 20);
      const values = known([...(series.low || series.y).slice(settled), ...(series.high || series.y).slice(settled)]);
      const [low, high] = [Math.min(...values), Math.max(...values)], margin = 0.1 * (high - low) || Math.abs(high) * 1e-6 || 1;
      const yaxis = values.length ? { range: [low - margin, high + margin], exponentformat: "none", separatethousands: true } : {};
      drawn(one, traces, layout(plain(series.x_label), `${plain(series.label.split(/[,(]/)[0].trim())}${unit && " /"}${unit}`, { yaxis }));
    };
    one.draw();
    one.remark.textContent = said(series);
  }

  /* A number with its error, both to the second digit of the error. */
  function uncertain(value, error) {
    if (!(error > 0)) return value.toPrecision(6);
    const places = Math.min(Math.max(1 - Math.floor(Math.log10(error)), 0), 9);
    return `${value.toFixed(places).replace("-", "−")} ± ${error.toFixed(places)}`;
  }

  function said(series) {
    const words = [];
    if (series.drift) words.push(`drift ${uncertain(series.drift.value, series.drift.error)} meV per atom and ps`);
    if (series.mean && series.mean.error > 0) {
      const count = series.mean.independent;
      words.push(`mean of the second half ${uncertain(series.mean.value, series.mean.error)} ${series.unit} (dashed), worth ${count < 10 ? count.toFixed(1) : count.toFixed(0)} independent samples`);
    }
    if (series.target !== null) words.push(`target ${series.target} (dotted)`);
    if (series.low) words.push("pale: extremes");
    return words.join("; ");
  }

  function show(content) {
    content.spectra.forEach(drawSpectrum);
    content.profiles.forEach(drawProfile);
    content.series.forEach((series) => drawSeries("series", series));
    content.uncertainties.forEach((series) => drawSeries("uncertainties", series));
    beadwiseStructure(content.structure, make);
    document.getElementById("made").textContent = content.made;
  }

  function update({ content, parts }) {
    for (const [place, text] of Object.entries(parts)) document.getElementById(place).innerHTML = text;
    show(content);
  }

  const tell = (text, isLost) => Object.assign(document.getElementById("live"),
    { hidden: false, textContent: text, className: isLost ? "failure" : "small" });
  let tag = "", newest = new Date();
  async function follow() {
    try {
      const answer = await fetch(given.follow, { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
      if (answer.ok) {
        update(await answer.json());
        [tag, newest] = [answer.headers.get("ETag") || "", new Date()];
      } else if (answer.status !== 304) {
        throw new Error(await answer.text());
      }
      tell(`This page follows the run. Newest data came at ${newest.toLocaleTimeString()}.`);
    } catch (error) {
      tell(`This page no longer follows the run: nobody answers. What is shown is as of ${newest.toLocaleTimeString()}.`, true);
    }
    setTimeout(follow, 1000 * given.seconds);
  }

  window.beadwise = { show, update };
  show(given.content);
  if (given.follow) follow();
})();
