// What makes a table that already stands in a page sortable and searchable. The page is the
// front end of somebody who looks at a notebook; `bundle` is the source of DataTables.

async function libraryOf(source) {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const library = await import(address);
  URL.revokeObjectURL(address);
  return library;
}

function dropDown(column, name) {
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

// A choice for each column that a table names in data-filters, beside its search.
function addFilters(table, api) {
  const names = JSON.parse(table.dataset.filters || "[]");
  const place = api.table().container().querySelector(".dt-search");
  api.columns().every(function () {
    const name = this.header().textContent.trim();
    if (place && names.includes(name)) place.before(dropDown(this, name));
  });
}

function enhance(DataTable, table) {
  table.dataset.enhanced = "yes";
  const rows = table.tBodies[0].rows.length;
  const page = 25;
  table.classList.add("display", "compact");
  const api = new DataTable(table, {
    autoWidth: false,
    order: [],
    paging: rows > page + 5,
    pageLength: page,
    lengthMenu: [page, 50, { label: "all", value: -1 }],
    searching: rows > 5,
    info: rows > 5,
    layout: { topStart: rows > page + 5 ? "pageLength" : null, topEnd: rows > 5 ? "search" : null },
  });
  addFilters(table, api);
}

export default {
  async initialize({ model }) {
    // One library for all notebooks of a page, however many kernels send theirs.
    window.imagekitTables ??= libraryOf(model.get("bundle"));
    const { default: DataTable, set_or_remove_dark_class: followTheme } = await window.imagekitTables;
    followTheme();
    const look = () =>
      document.querySelectorAll("table[data-rows]:not([data-enhanced])")
        .forEach((table) => enhance(DataTable, table));
    if (!window.imagekitObserver) {
      window.imagekitObserver = new MutationObserver(look);
      window.imagekitObserver.observe(document.body, { childList: true, subtree: true });
    }
    look();
  },
};
