// Starts Pyodide from script files when asked, then runs the reference on whatever numbers stand in the grids.
(() => {
  const data = JSON.parse(document.getElementById("live-data").textContent);
  const state = document.getElementById("live-state"), body = document.getElementById("live-body");
  const button = document.getElementById("live-start");
  let python, run, signs;

  const make = (tag, given = {}, ...inside) => {
    const node = Object.assign(document.createElement(tag), given);
    node.append(...inside);
    return node;
  };
  const load = name => new Promise((done, failed) => {
    const script = make("script", {src: LIVE_ROOT + name + ".js", onload: done, onerror: () => failed(new Error(name + " is not there"))});
    document.head.append(script);
  });
  const bytes = async name => {
    await load(name);
    const packed = Uint8Array.from(atob(LIVE[name]), c => c.charCodeAt(0));
    delete LIVE[name];
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  };
  const url = (content, type) => URL.createObjectURL(new Blob([content], {type}));

  async function start() {
    button.disabled = true;
    const began = performance.now();
    try {
      state.textContent = "unpacking …";
      const [script, module, wasm, library] = await Promise.all(
        ["pyodide.js", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"].map(bytes));
      await Promise.all(["sources", "lock"].map(load));
      await new Promise(done => document.head.append(make("script", {src: url(script, "text/javascript"), onload: done})));
      state.textContent = "starting Python …";
      const {default: createPyodideModule} = await import(url(module, "text/javascript"));
      const held = {"pyodide.asm.wasm": [wasm, "application/wasm"], "python_stdlib.zip": [library, "application/zip"]};
      const fetched = window.fetch;
      window.fetch = (what, more) => {
        const name = String(what.url || what).split("/").pop();
        return name in held ? Promise.resolve(new Response(held[name][0], {headers: {"Content-Type": held[name][1]}})) : fetched(what, more);
      };
      python = await loadPyodide({indexURL: LIVE_ROOT, stdLibURL: LIVE_ROOT + "python_stdlib.zip", createPyodideModule,
        lockFileContents: LIVE.lock});
      window.fetch = fetched;
      for (const [path, text] of Object.entries(LIVE.sources)) {
        const folder = "/live/" + path.split("/").slice(0, -1).join("/");
        python.FS.mkdirTree(folder);
        python.FS.writeFile("/live/" + path, text);
      }
      python.runPython("import sys; sys.path.insert(0, '/live'); import live");
      const live = python.pyimport("live");
      run = request => JSON.parse(live.run(JSON.stringify(request)));
      signs = request => JSON.parse(live.signs(JSON.stringify(request)));
      show();
      state.textContent = "ready after " + ((performance.now() - began) / 1000).toFixed(1) + " s";
    } catch (why) {
      state.textContent = "It did not start: " + why.message;
      button.disabled = false;
    }
  }

  // ------------------------------------------------------------------ grids
  const depth = value => Array.isArray(value) ? 1 + Math.max(0, ...value.map(depth)) : 0;
  function inputs(name, value, label) {             // a grid of fields and how to read it back
    const field = text => make("input", {value: text, size: Math.max(3, text.length), ariaLabel: label + name});
    if (value === null) return [make("span", {hidden: true}), () => null];      // slot 0, which the deck's counting leaves empty
    if (typeof value === "string") { const one = field(value); return [one, () => one.value]; }
    if (!Array.isArray(value)) { const one = field(value.function); return [make("span", {}, "z ↦ ", one), () => ({function: one.value})]; }
    const parts = value.map((one, i) => inputs(`${name}[${i}]`, one, label));
    const box = make("div", {className: depth(value) === 1 ? "row" : "rows"}, ...parts.map(([node]) => node));
    return [box, () => parts.map(([, read]) => read())];
  }
  function output(value) {
    if (value === null) return make("span", {hidden: true});
    if (!Array.isArray(value)) return make("output", {textContent: String(value).replaceAll("-", "−")});
    return make("div", {className: depth(value) === 1 ? "row" : "rows"}, ...value.map(output));
  }
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  function show() {
    const exact = make("input", {type: "checkbox", checked: true, id: "live-exact"});
    const cases = data.cases.map((one, i) => {
      const arguments_ = one.args.map((value, k) => inputs(data.names[k] ?? "argument " + k, value, "case " + (i + 1) + ", "));
      const answer = make("div", {className: "answer"}), mark = make("span", {className: "state"});
      const row = make("div", {className: "grids case"},
        ...arguments_.map(([node], k) => make("figure", {className: "grid"}, make("figcaption", {textContent: data.names[k] ?? ""}), node)),
        make("span", {className: "gives", textContent: "→"}), answer, mark);
      const compute = () => {
        const args = arguments_.map(([, read]) => read());
        const got = run({id: data.id, args, exact: exact.checked, fault: data.faults[fault.value]});
        const right = data.faults[fault.value] ? run({id: data.id, args, exact: exact.checked}) : got;
        answer.replaceChildren(got.error ? make("span", {className: "fail", textContent: got.error}) : output(got.result));
        const caught = !same(got, right);
        mark.textContent = fault.value === "" ? "" : caught ? "✗ catches it" : "✓ does not see it";
        mark.className = "state " + (caught ? "fail" : "mute");
        return caught;
      };
      row.addEventListener("input", () => { compute(); tally(); });
      return [make("div", {}, make("p", {className: "small mute", textContent: one.label}), row), compute];
    });
    const fault = make("select", {id: "live-fault"}, make("option", {value: "", textContent: "none"}),
      ...data.faults.map((one, k) => make("option", {value: k, textContent: one.name})));
    const said = make("p", {role: "status", id: "live-tally"}), code = make("pre", {tabIndex: 0, hidden: true});
    const tally = () => {
      const caught = cases.map(([, compute]) => compute()).filter(Boolean).length, chosen = data.faults[fault.value];
      said.textContent = chosen ? `${caught} of ${cases.length} cases catch this fault` : "";
      code.hidden = !chosen;
      code.textContent = chosen ? chosen.source : "";
    };
    exact.addEventListener("change", tally);
    fault.addEventListener("change", tally);
    const choose = [make("p", {}, make("label", {}, exact, " over fractions; without the tick, over floats"))];
    if (data.faults.length) choose.push(make("p", {}, make("label", {}, "Plant a fault: ", fault)), code, said);
    body.replaceChildren(...choose, ...cases.map(([node]) => node), ...(data.signs ? [switched()] : []), ...(data.derived ? [derived()] : []));
    body.hidden = false;
    tally();
  }

  function switched() {                             // the deck's two readings of the output error
    const reading = make("select", {id: "live-reading"}, make("option", {value: "bp.delta.out", textContent: "y − a, as the derivation slides print it"}),
      make("option", {value: "alg.delta.out", textContent: "a − y, as the algorithm slide prints it"}));
    const steps = make("input", {value: "200", size: 5}), eta = make("input", {value: "1", size: 5}), said = make("output", {id: "live-signs"});
    const compute = () => { said.textContent = "ŷ = " + signs({reading: reading.value, steps: steps.value, eta: eta.value}).result + ", and it should be 1"; };
    for (const one of [reading, steps, eta]) one.addEventListener("change", compute);
    compute();
    return make("div", {}, make("h3", {textContent: "Switch the reading"}), make("p", {}, make("label", {}, "δ = ", reading), " ",
      make("label", {}, "steps ", steps), " ", make("label", {}, "η ", eta)), make("p", {}, "One neuron on x = 1, y = 1, from Θ = 0: ", said));
  }

  // ------------------------------------------------------------------ a derivation, line by line
  const pause = () => new Promise(done => setTimeout(done, 30));      // so that what was said is drawn
  function derived() {
    const box = make("div"), open = make("button", {type: "button", id: "live-steps", textContent: "Open the derivation"});
    const said = make("span", {role: "status", id: "live-steps-state"});
    const compute = async (what, work) => {
      said.textContent = what + " …";
      await pause();
      try { const value = work(); said.textContent = ""; return value; }
      catch (why) { said.textContent = why.message.trim().split("\n").pop(); }
    };
    open.addEventListener("click", async () => {
      open.disabled = true;
      said.textContent = "unpacking SymPy …";
      await load("libraries");
      python.FS.writeFile("/live/libraries.zip", Uint8Array.from(atob(LIVE.libraries), c => c.charCodeAt(0)));
      delete LIVE.libraries;
      const steps = await compute("importing SymPy", () => {
        python.runPython("sys.path.insert(0, '/live/libraries.zip')");
        return python.pyimport("steps");
      });
      const lines = steps && await compute("deriving", () => JSON.parse(steps.opened(data.id)));
      if (!lines) return;
      const fields = lines.map((line, k) => make("textarea", {value: line.text, rows: 1 + Math.floor(line.text.length / 70), spellcheck: false, ariaLabel: "step " + (k + 1)}));
      const marks = lines.map(() => make("p", {className: "small mark", textContent: "not checked"}));
      const check = make("button", {type: "button", id: "live-check", textContent: "Check every step"});
      check.addEventListener("click", async () => {
        check.disabled = true;
        const found = await compute("evaluating over GF(2⁶¹ − 1)", () => JSON.parse(steps.checked(JSON.stringify({id: data.id, texts: fields.map(one => one.value)}))));
        check.disabled = false;
        for (const [k, one] of (found ?? []).entries()) {
          const values = one.here && ` ${one.before} ${one.equal ? "=" : "≠"} ${one.here}`;
          marks[k].textContent = one.equal ? `✓ equal at ${one.places} places of ${one.sizes} sizes; at the last of them${values}` : `✗ ${one.why}${values && ":" + values}`;
          marks[k].className = "small mark " + (one.equal ? "mute" : "fail");
        }
        const wrong = (found ?? []).filter(one => !one.equal).length;
        if (found) said.textContent = wrong ? `${wrong} of ${found.length} steps do not hold` : `all ${found.length} steps hold`;
      });
      box.replaceChildren(
        make("p", {className: "small mute", textContent: "Change any line. Each is read as it stands and compared with the one above it, at random numbers of a field of 2⁶¹ − 1 elements; the first with the derivative of the definition."}),
        make("ol", {className: "steps"}, ...lines.map((line, k) => make("li", {}, make("strong", {textContent: line.rule}), line.why && " · " + line.why, fields[k], marks[k]))),
        make("p", {}, check));
    });
    return make("div", {}, make("h3", {textContent: "Check the derivation"}), make("p", {}, open, " ", said), box);
  }
  button.addEventListener("click", start);
})();
