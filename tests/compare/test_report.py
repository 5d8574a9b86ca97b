import json

from imagekit.compare import report
from imagekit.compare.changes import Changes, Difference, compare
from imagekit.compare.inventory import ImageSpec, Inventory

CHANGES = Changes(
    added=("a",),
    removed=("b",),
    changed={"c": (Difference("CUDA", "13.0", None, True), Difference("D changed"))},
    rebuilt={"d": "c", "e": "c"},
    whole=(Difference("timeout", '"1s"', '"2s"'),),
)


def test_one_row_a_change():
    assert [(r.mark, r.image, r.what, r.before, r.after) for r in report.rows(CHANGES)] == [
        ("+ added", "a", "", "", ""),
        ("- removed", "b", "", "", ""),
        ("~ changed", "c", "CUDA", "13.0", "(none)"),
        ("~ changed", "c", "D changed", "", ""),
        ("↻ rebuilt", "d", "because c changed", "", ""),
        ("↻ rebuilt", "e", "because c changed", "", ""),
        ("~ build", "", "timeout", '"1s"', '"2s"'),
    ]


def test_markdown_is_a_summary_a_table_and_the_consequences():
    assert report.markdown(CHANGES, "old", "new") == (
        "**1 added, 1 removed, 1 changed, 2 rebuilt** "
        "from `old` to `new`\n\n"
        "| change | image | what | before | after |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| + added | `a` |  |  |  |\n"
        "| - removed | `b` |  |  |  |\n"
        "| ~ changed | `c` | CUDA | `13.0` | `(none)` |\n"
        "| ~ changed | `c` | D changed |  |  |\n"
        '| ~ build |  | timeout | `"1s"` | `"2s"` |\n\n'
        "<details>\n<summary>2 images rebuilt as a consequence</summary>\n\n"
        "- because `c` changed: `d`, `e`\n\n</details>\n"
    )


def test_no_value_can_break_out_of_its_cell():
    evil = Changes(changed={"a": (Difference("A", "x|y", "</code><script>\n| - |"),)})
    row = report.markdown(evil, "a", "b").splitlines()[-1]
    assert row == "| ~ changed | `a` | A | `x\\|y` | `</code><script>\\n\\| - \\|` |"


def test_only_options_or_only_consequences():
    whole = report.markdown(Changes(whole=(Difference("timeout", "1", "2"),)), "a", "b")
    assert whole.startswith("**1 change outside the images**")
    assert "<details>" not in whole
    assert "| change" not in report.markdown(Changes(rebuilt={"a": "b"}), "a", "b")


def test_no_difference_says_so():
    assert report.markdown(Changes(), "a", "b").startswith("No change: ")
    assert report.nothing("a", "b") == "no change: a and b describe the same images"


def test_json_holds_everything():
    found = json.loads(report.as_json(CHANGES, "old", "new"))
    assert found["before"] == "old"
    assert found["changed"]["c"][0] == {"what": "CUDA", "before": "13.0", "rebuilds": True}
    assert found["rebuilt"] == {"d": "c", "e": "c"}
    assert found["build"] == [{"what": "timeout", "before": '"1s"', "after": '"2s"'}]


def test_what_changed_in_many_images_is_folded():
    images = {name: ImageSpec(dockerfile="D", files=("D",)) for name in "abcd"}
    found = compare(*(Inventory(images=images, files={"D": text}) for text in "12"))
    assert [(row.image, row.what) for row in report.rows(found)] == [("4 images", "D changed")]
    text = report.markdown(found, "x", "y")
    assert "| ~ changed | `4 images` | D changed |" in text
    assert "<summary>4 images: D changed</summary>\n\n`a`, `b`" in text
