// Boxes that scroll sideways say so: an arrow stands at their edge while there is more to see, and
// the keyboard reaches them, so that the arrow keys scroll them.

const SCROLLS =
  ".table-wrapper, div.highlight > pre, " +
  ".cell_output :is(.output, .picture, .output > pre, .imagekit-picture, details > pre)";

function framed(box) {
  // The arrow stands on what does not scroll.
  if (box.matches("div.highlight > pre")) return box.parentElement;
  const frame = document.createElement("div");
  box.replaceWith(frame);
  frame.append(box);
  return frame;
}

function named(box) {
  const caption = box.querySelector("caption, [aria-label]");
  const heading = box.closest("section")?.querySelector("h1, h2, h3, h4");
  const text = caption?.getAttribute("aria-label") || (caption || heading)?.firstChild?.textContent;
  const kind = box.querySelector("table") ? "Table" : box.matches("pre") ? "Code" : "Picture";
  return `${kind}: ${(text || document.title).trim()}, scrolls sideways`;
}

function told(box, frame) {
  const left = box.scrollLeft > 1;
  const right = box.scrollLeft + box.clientWidth < box.scrollWidth - 1;
  frame.classList.toggle("more-left", left);
  frame.classList.toggle("more-right", right);
  if (left || right) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", named(box));
  } else if (box.getAttribute("role") === "region") {
    for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
  }
}

for (const table of document.querySelectorAll(".cell_output table")) {
  if (table.closest(".table-wrapper")) continue;
  const box = document.createElement("div");
  box.className = "table-wrapper";
  table.replaceWith(box);
  box.append(table);
}

for (const box of document.querySelectorAll(SCROLLS)) {
  const frame = framed(box);
  frame.classList.add("scrolls");
  const again = () => told(box, frame);
  box.addEventListener("scroll", again, { passive: true });
  addEventListener("load", again);
  new ResizeObserver(again).observe(box);
  if (box.firstElementChild) new ResizeObserver(again).observe(box.firstElementChild);
}
