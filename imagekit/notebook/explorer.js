// A piece of the explorer's page: shows HTML, tells which image was chosen in it, zooms its
// picture, and copies a text.

const STEP = 1.25;

function zoomable(box) {
  const svg = box.querySelector("svg");
  const [width, height] = ["width", "height"].map((name) => Number(svg.getAttribute(name)));
  const bar = document.createElement("div");
  bar.className = "imagekit-zoom";
  let scale = 1;
  const set = (to) => {
    scale = Math.min(8, Math.max(0.05, to));
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
  };
  const fit = () => set(Math.min(1, box.clientWidth / width));
  const zooms = [["−", "Zoom out", () => set(scale / STEP)], ["+", "Zoom in", () => set(scale * STEP)],
    ["fit", "Fit to width", fit], ["100 %", "Original size", () => set(1)]];
  for (const [text, label, act] of zooms) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.ariaLabel = label;
    button.addEventListener("click", act);
    bar.append(button);
  }
  box.before(bar);
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    set(event.deltaY < 0 ? scale * STEP : scale / STEP);
  }, { passive: false });
}

// The images of a picture are reached and chosen by keyboard, too.
function reachable(node) {
  node.setAttribute("tabindex", "0");
  node.setAttribute("role", "button");
  node.setAttribute("aria-label", node.dataset.tag);
}

function copyButton(model, el) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "imagekit-copy jupyter-button";
  const label = () => (model.get("copied").trimStart().startsWith("{") ? "Copy as JSON" : "Copy as YAML");
  button.textContent = label();
  model.on("change:copied", () => { button.textContent = label(); });
  button.addEventListener("click", async () => {
    const text = model.get("copied");
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages without https have no clipboard of that kind.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label(); }, 2000);
  });
  el.append(button);
}

function render({ model, el }) {
  const body = document.createElement("div");
  const show = () => {
    const open = el.ownerDocument.activeElement?.closest?.("[data-tag]")?.dataset.tag;
    body.innerHTML = model.get("html");
    body.querySelectorAll("svg .node").forEach(reachable);
    // A picture with parts to choose is no single image.
    body.querySelectorAll("svg:has(.node)").forEach((svg) => {
      svg.setAttribute("role", "group");
      svg.setAttribute("aria-label", svg.querySelector("title").textContent);
    });
    body.querySelectorAll(".imagekit-picture").forEach(zoomable);
    const again = open && body.querySelector(`[data-tag="${CSS.escape(open)}"]`);
    (again?.querySelector("summary") ?? again)?.focus();
  };
  const choose = (event) => {
    const chosen = event.target.closest("[data-tag]");
    if (!chosen || !body.contains(chosen)) return;
    // The details below say what the grid would fold out.
    event.preventDefault();
    model.send({ tag: chosen.dataset.tag });
  };
  body.addEventListener("click", choose);
  body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") choose(event);
  });
  model.on("change:html", show);
  show();
  el.append(body);
  if (model.get("copied")) copyButton(model, el);
}

export default { render };
