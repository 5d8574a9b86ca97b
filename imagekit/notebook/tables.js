// Makes the tables of a page sortable and searchable. The page is an interactive notebook front
// end; `bundle` is the source of DataTables.

async function loadLibrary(source) {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const library = await import(address);
  URL.revokeObjectURL(address);
  return library;
}

function filterFor(column, name) {
  const select = document.createElement("select");
  select.ariaLabel = `Only rows with this ${name}`;
  select.add(new Option(`any ${name}`, ""));
  const texts = column.nodes().toArray().map((cell) => cell.textContent);
  for (const text of [...new Set(texts)].filter((text) => text).sort()) {
    select.add(new Option(text, text));
  }
  select.addEventListener("change", () =>
    column.search(select.value, { exact: Boolean(select.value) }).draw());
  return select;
}

// Adds a filter for each column named in data-filters, beside the search field.
function addFilters(table, api) {
  const names = JSON.parse(table.dataset.filters || "[]");
  const search = api.table().container().querySelector(".dt-search");
  api.columns().every(function () {
    const name = this.header().textContent.trim();
    if (search && names.includes(name)) search.before(filterFor(this, name));
  });
}

// The place of a cell in the order of its column, which its text does not have.
function orderCells(table) {
  for (const cell of table.querySelectorAll("td[class*=order-]")) {
    cell.dataset.order = cell.className.match(/order-(\S+)/)[1];
  }
}

function enhance(DataTable, table) {
  table.dataset.enhanced = "yes";
  orderCells(table);
  const rows = table.tBodies[0].rows.length;
  const pageLength = 25;
  table.classList.add("display", "compact");
  const api = new DataTable(table, {
    autoWidth: false,
    order: [],
    paging: rows > pageLength + 5,
    pageLength,
    lengthMenu: [pageLength, 50, { label: "all", value: -1 }],
    searching: rows > 5,
    info: rows > 5,
    layout: { topStart: rows > pageLength + 5 ? "pageLength" : null, topEnd: rows > 5 ? "search" : null },
  });
  addFilters(table, api);
}

export default {
  async initialize({ model }) {
    // All notebooks of a page share one library, even if several kernels send it.
    window.imagekitTables ??= loadLibrary(model.get("bundle"));
    const { default: DataTable, set_or_remove_dark_class: followTheme } = await window.imagekitTables;
    followTheme();
    const enhanceAll = () =>
      document.querySelectorAll("table[data-rows]:not([data-enhanced])")
        .forEach((table) => enhance(DataTable, table));
    if (!window.imagekitObserver) {
      window.imagekitObserver = new MutationObserver(enhanceAll);
      window.imagekitObserver.observe(document.body, { childList: true, subtree: true });
    }
    enhanceAll();
  },
};
