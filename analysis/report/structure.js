/* The structure of a report: chemiscope's viewer where it is in the page, and otherwise a small drawing of its own. */
"use strict";
const beadwiseStructure = (() => {
  const ELEMENTS = { H: ["#ffffff", 0.31], C: ["#6b6b6b", 0.76], N: ["#3050f8", 0.71], O: ["#e0201b", 0.66], F: ["#90e050", 0.57],
    Na: ["#ab5cf2", 1.66], Mg: ["#6aa800", 1.41], Al: ["#bfa6a6", 1.21], Si: ["#c8a070", 1.11], P: ["#ff8000", 1.07],
    S: ["#d9c020", 1.05], Cl: ["#1fa01f", 1.02], K: ["#8f40d4", 2.03], Ca: ["#3d9f00", 1.76], Ti: ["#9a9ca0", 1.6],
    Fe: ["#e06633", 1.32], Cu: ["#c88033", 1.32], Zn: ["#7d80b0", 1.22], Br: ["#a62929", 1.2], Ba: ["#00a000", 2.15] };
  const OTHER = ["#c060a0", 1.2], BOND = 1.25;
  let state = null;

  const lerp = (a, b, t) => Math.round(a + (b - a) * t);
  // from pale yellow to dark blue, through what people tell apart by brightness alone
  const scale = (t) => {
    const stops = [[253, 231, 137], [86, 180, 190], [30, 60, 120]], place = Math.min(Math.max(t, 0), 1) * 2;
    const low = Math.min(Math.floor(place), 1), part = place - low;
    return `rgb(${stops[low].map((value, n) => lerp(value, stops[low + 1][n], part)).join(",")})`;
  };

  function title(structure, frame) {
    const when = frame.time === null ? `step ${frame.step}` : `${frame.time.toPrecision(4)} ps, step ${frame.step}`;
    return `${structure.what}, ${when}`;
  }

  function bonds(structure, positions) {
    const found = [], size = (n) => (ELEMENTS[structure.symbols[n]] || OTHER)[1], cells = new Map(), edge = 3;
    positions.forEach((one, n) => {
      const key = one.map((value) => Math.floor(value / edge)).join();
      if (!cells.has(key)) cells.set(key, []);
      cells.get(key).push(n);
    });
    positions.forEach((one, n) => {
      const [a, b, c] = one.map((value) => Math.floor(value / edge));
      for (let i = a - 1; i <= a + 1; i++) for (let j = b - 1; j <= b + 1; j++) for (let k = c - 1; k <= c + 1; k++) {
        for (const m of cells.get([i, j, k].join()) || []) {
          if (m <= n || (structure.symbols[n] === "H" && structure.symbols[m] === "H")) continue;
          const distance = Math.hypot(...one.map((value, axis) => value - positions[m][axis]));
          if (distance < BOND * (size(n) + size(m))) found.push([n, m]);
        }
      }
    });
    return found;
  }

  function draw() {
    const { canvas, structure, frame, turn, zoom } = state, one = structure.frames[frame], size = canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1, context = canvas.getContext("2d");
    canvas.width = Math.max(1, size.width * ratio); canvas.height = Math.max(1, size.height * ratio);
    const corners = [], [a, b, c] = one.cell, big = Math.max(...one.cell.flat().map(Math.abs));
    for (const i of [0, 1]) for (const j of [0, 1]) for (const k of [0, 1]) {
      corners.push([0, 1, 2].map((axis) => i * a[axis] + j * b[axis] + k * c[axis]));
    }
    const extent = [0, 1, 2].map((axis) => { const own = one.positions.map((place) => place[axis]); return [Math.min(...own), Math.max(...own)]; });
    const spread = Math.max(...extent.map(([low, high]) => high - low), 3);
    const shows = big < 4 * spread;  // a molecule in a large cell is drawn without it
    const centre = shows ? corners[7].map((value) => value / 2) : extent.map(([low, high]) => (low + high) / 2);
    const scaleBy = zoom * 0.66 * Math.min(canvas.width, canvas.height) / (shows ? Math.max(big, spread) : spread + 2);
    const [sy, cy, sx, cx] = [Math.sin(turn[0]), Math.cos(turn[0]), Math.sin(turn[1]), Math.cos(turn[1])];
    const seen = (place) => {
      const [x, y, z] = place.map((value, axis) => value - centre[axis]);
      const depth = -x * sy + z * cy;
      return [canvas.width / 2 + scaleBy * (x * cy + z * sy), canvas.height / 2 - scaleBy * (y * cx - depth * sx), y * sx + depth * cx];
    };
    context.lineCap = "round";
    if (shows) {
      const places = corners.map(seen);
      context.strokeStyle = "#a9b2bb"; context.lineWidth = ratio;
      for (let n = 0; n < 8; n++) for (const bit of [1, 2, 4]) if (!(n & bit)) {
        context.beginPath(); context.moveTo(...places[n].slice(0, 2)); context.lineTo(...places[n | bit].slice(0, 2)); context.stroke();
      }
    }
    const places = one.positions.map(seen), colour = structure.colours[state.colour];
    const values = colour ? colour.values[frame] : null;
    const all = colour ? colour.values.flat() : [], low = Math.min(...all), high = Math.max(...all);
    const fill = (n) => (values ? scale((values[n] - low) / (high - low || 1)) : (ELEMENTS[structure.symbols[n]] || OTHER)[0]);
    const things = places.map((place, n) => [place[2], n, -1]);
    for (const [n, m] of bonds(structure, one.positions)) things.push([(places[n][2] + places[m][2]) / 2, n, m]);
    things.sort((first, second) => first[0] - second[0]);
    for (const [, n, m] of things) {
      if (m >= 0) {
        context.strokeStyle = "#8d969f"; context.lineWidth = Math.max(0.14 * scaleBy, ratio);
        context.beginPath(); context.moveTo(...places[n].slice(0, 2)); context.lineTo(...places[m].slice(0, 2)); context.stroke();
        continue;
      }
      context.beginPath();
      const [x, y] = places[n], radius = Math.max(0.42 * scaleBy * (0.35 + (ELEMENTS[structure.symbols[n]] || OTHER)[1] * 0.65), 1.5 * ratio);
      context.arc(x, y, radius, 0, 7);
      context.fillStyle = fill(n); context.fill();
      const light = context.createRadialGradient(x - 0.35 * radius, y - 0.35 * radius, 0.1 * radius, x, y, radius);
      light.addColorStop(0, "rgba(255,255,255,0.55)"); light.addColorStop(0.5, "rgba(255,255,255,0)"); light.addColorStop(1, "rgba(0,0,0,0.22)");
      context.fillStyle = light; context.fill();
      context.strokeStyle = "rgba(30,40,50,0.65)"; context.lineWidth = 0.8 * ratio; context.stroke();
    }
    state.heading.textContent = title(structure, one);
    const held = colour ? `Coloured by the ${colour.name}, pale ${low.toPrecision(3)} to dark ${high.toPrecision(3)} ${colour.unit}. ` : "Coloured by element. ";
    state.remark.textContent = `${held}Drag to turn, wheel to zoom. The extra “report” of beadwise brings the viewer of chemiscope.`;
  }

  function begin(section, make) {
    const canvas = make("canvas", { role: "img", ariaLabel: "atoms of the run" });
    section.querySelector(".viewer").replaceChildren(canvas);
    const own = { canvas, turn: [0.5, 0.35], zoom: 1, frame: -1, colour: 0, heading: section.querySelector("h3"),
      remark: section.querySelector(".remark"), tools: section.querySelector(".tools") };
    let last = null;
    canvas.addEventListener("pointerdown", (event) => { last = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointerup", () => { last = null; });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      own.turn[0] += (event.clientX - last[0]) / 150; own.turn[1] += (event.clientY - last[1]) / 150;
      last = [event.clientX, event.clientY]; draw();
    });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); own.zoom *= Math.exp(-event.deltaY / 600); draw(); }, { passive: false });
    window.addEventListener("resize", draw);
    return own;
  }

  function own(section, structure, make) {
    state = state || begin(section, make);
    const follows = state.frame < 0 || !state.structure || state.frame === state.structure.frames.length - 1;
    state.structure = structure;
    state.frame = follows ? structure.frames.length - 1 : Math.min(state.frame, structure.frames.length - 1);
    const slider = make("input", { type: "range", min: 0, max: structure.frames.length - 1, value: state.frame, ariaLabel: "frame" });
    slider.addEventListener("input", () => { state.frame = Number(slider.value); draw(); });
    const choice = make("select", { ariaLabel: "colour" }, ...structure.colours.map((one, n) => make("option", { value: n, textContent: one.name })),
      make("option", { value: structure.colours.length, textContent: "element" }));
    choice.value = Math.min(state.colour, structure.colours.length);
    choice.addEventListener("change", () => { state.colour = Number(choice.value); draw(); });
    state.tools.replaceChildren(...(structure.frames.length > 1 ? [make("label", {}, "frame", slider)] : []),
      ...(structure.colours.length ? [make("label", {}, "colour by", choice)] : []));
    draw();
  }

  /* The structure as chemiscope reads it: atoms are environments, or they could not be coloured. */
  function dataset(structure, name) {
    const count = structure.symbols.length, frames = structure.frames;
    const structures = frames.map((frame) => ({ size: count, names: structure.symbols, x: frame.positions.map((place) => place[0]),
      y: frame.positions.map((place) => place[1]), z: frame.positions.map((place) => place[2]), cell: frame.cell.flat() }));
    const properties = { time: { target: "structure", values: frames.map((frame) => frame.time ?? frame.step), units: frames[0].time === null ? "steps" : "ps" } };
    for (const colour of structure.colours) properties[colour.name] = { target: "atom", values: colour.values.flat(), units: colour.unit };
    const environments = frames.flatMap((_, n) => structure.symbols.map((_, atom) => ({ structure: n, center: atom, cutoff: 3.5 })));
    const settings = { target: "structure", structure: [{ unitCell: true, keepOrientation: true, bonds: true, spaceFilling: false, playbackDelay: 300,
      environments: { activated: false }, ...(structure.colours.length ? { color: { property: structure.colours[0].name } } : {}) }] };
    return { meta: { name }, structures, properties, settings, ...(structure.colours.length ? { environments } : {}) };
  }

  async function withChemiscope(section, structure, make) {
    if (state) return;  // it has no way to take newer frames without losing the view
    state = { structure };
    const viewer = section.querySelector(".viewer");
    viewer.replaceChildren(...["meta", "structure", "info"].map((part) => make("div", { id: `chemiscope-${part}`, className: `chemiscope-${part}` })));
    viewer.classList.add("chemiscope");
    const warnings = new Chemiscope.Warnings();
    const config = { meta: "chemiscope-meta", structure: "chemiscope-structure", info: "chemiscope-info" };
    section.querySelector("h3").textContent = `${structure.what}, ${structure.frames.length} frames`;
    section.querySelector(".remark").textContent = structure.colours.length
      ? `Coloured by the ${structure.colours[0].name} in ${structure.colours[0].unit}.` : "Coloured by element: the run wrote nothing of single atoms. Forces, or forces_uncertainty among the extras, would colour them.";
    try {
      await Chemiscope.StructureVisualizer.load(config, dataset(structure, document.title), warnings);
    } catch (error) {
      console.error(error);
      state = null;
      viewer.classList.remove("chemiscope");
      own(section, structure, make);
    }
  }

  return (structure, make) => {
    const section = document.getElementById("structure");
    section.hidden = structure === null;
    if (structure === null) return;
    const draws3d = () => { const canvas = make("canvas"); return canvas.getContext("webgl2") || canvas.getContext("webgl"); };
    if (window.Chemiscope && (state || draws3d()) && !(state && state.canvas)) withChemiscope(section, structure, make);
    else own(section, structure, make);
  };
})();
