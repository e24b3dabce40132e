"""intaglio explain: its JSON and its page."""

from __future__ import annotations

from html.parser import HTMLParser

import small_models
from harness import ToolCase, main

STEP_KEYS = {
    "node", "origin", "op", "kernel", "isa", "blocking", "epilogue", "threads",
    "predicted_us", "measured_us", "roofline_percent",
}  # fmt: skip


VOID = {"meta", "br", "hr"}


class Page(HTMLParser):
    """Tags of a page and what they hold; `broken` names the first tag that closes another one than the last opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.broken = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.broken = self.broken or tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class Explain(ToolCase):
    """Reports of `mlp`."""

    def setUp(self) -> None:
        super().setUp()
        self.model = small_models.save(small_models.mlp(), self.folder / "mlp.onnx")

    def explain(self, *options: object) -> dict[str, object]:
        return self.report("intaglio.explain/1", "explain", self.model, *options)

    def test_every_step_has_times(self) -> None:
        report = self.explain("--runs", 7, "--threads", 1)
        self.assertEqual((report["runs"], report["threads"], report["dtype"]), (7, 1, "f32"))
        for step in report["steps"]:
            self.assertLessEqual(STEP_KEYS, step.keys())
            self.assertGreater(step["measured_us"], 0)
            self.assertGreater(step["predicted_us"], 0)
            ratio = 100 * step["predicted_us"] / step["measured_us"]
            self.assertAlmostEqual(step["roofline_percent"], ratio, delta=1e-6 * ratio)
            self.assertIn(step["roof"], {entry["name"] for entry in report["machine"]})
        self.assertLessEqual(sum(step["measured_us"] for step in report["steps"]), 2 * report["run_us"])
        self.assertEqual(sum(layer["steps"] for layer in report["layers"]), len(report["steps"]))

    def test_without_times(self) -> None:
        report = self.explain("--runs", 0)
        self.assertIsNone(report["run_us"])
        for step in report["steps"]:
            self.assertIsNone(step["measured_us"])
            self.assertIsNone(step["predicted_us"])
            self.assertGreater(step["flops"], 0)
        self.assertNotIn("measured:", self.succeed("explain", self.model, "--runs", 0).stdout)

    def test_precision_is_told(self) -> None:
        report = self.explain("--runs", 0, "--quantize", "dynamic", "--keep-float", "last")
        self.assertEqual(report["quantize"], "dynamic, activations by token, last linear kept")
        self.assertEqual(len(report["kept_float"]), 1)
        self.assertEqual({step["products"] for step in report["steps"]} - {"none"}, {"int8", "f32"})
        shown = self.succeed("explain", self.model, "--runs", 1, "--quantize", "dynamic", "--keep-float", "last").stdout
        for words in ("last linear (--keep-float last)", "roofline", "one core, measured: f32 peak"):
            self.assertIn(words, shown)

    def page(self, model: object, *options: object) -> Page:
        text = self.succeed("explain", model, "--format", "html", *options).stdout
        page = Page(text)
        self.assertEqual((page.broken, page.open), ("", []))
        for outside in ("http:", "https:", "url(", "@import"):
            self.assertNotIn(outside, text)
        self.assertFalse(page.attributes & {"src", "href", "srcset", "onload", "onclick"})
        self.assertFalse(set(page.tags) & {"script", "link", "img", "iframe", "object"})
        return page

    def test_page(self) -> None:
        page = self.page(self.model, "--runs", 3)
        self.assertEqual(page.tags.count("svg"), 3)
        self.assertIn("circle", page.tags)
        for heading in ("Time by layer", "Roofline", "Memory over time", "Steps", "Near misses", "Fallbacks"):
            self.assertIn(heading, page.words)
        for step in self.explain("--runs", 0)["steps"]:
            self.assertIn(step["node"], page.words)
        self.assertEqual(self.page(self.model, "--runs", 0).tags.count("svg"), 1)

    def test_page_escapes_names(self) -> None:
        model = small_models.mlp()
        names = ['<script>alert("1")</script>', "\" onload='x' &amp; </title></svg>"]
        for node, name in zip(model.graph.node, names, strict=False):
            node.name = name
        page = self.page(small_models.save(model, self.folder / "hostile.onnx"), "--runs", 2)
        for name in names:
            self.assertIn(name, "".join(page.words))

    def test_output_file(self) -> None:
        for form, begin in (("html", "<!DOCTYPE html>"), ("json", "{"), ("text", " ")):
            file = self.folder / f"report.{form}"
            done = self.succeed("explain", self.model, "--runs", 0, "--format", form, "-o", file)
            self.assertEqual(done.stdout, "")
            self.assertEqual(file.read_text()[: len(begin)], begin)
        self.refuse(3, ["nowhere"], "explain", self.model, "--runs", 0, "-o", self.folder / "nowhere" / "page.html")

    def test_bad_usage(self) -> None:
        self.refuse(2, ["--json", "html"], "explain", self.model, "--format", "html", "--json")
        self.refuse(2, ["--runs", "-1"], "explain", self.model, "--runs=-1")
        self.refuse(2, ["jsn", "json"], "explain", self.model, "--format", "jsn")

    def test_requirements(self) -> None:
        plans = {
            options: self.folder / f"{number}.plan"
            for number, options in enumerate(((), ("--dtype", "bf16"), ("--quantize", "dynamic")))
        }
        for options, plan in plans.items():
            self.succeed("compile", self.model, "-o", plan, *options)
        float_plan, bf16_plan, int8_plan = plans.values()
        cases = (
            ("bf16", float_plan, ["'bf16'", "first", "second", "f32 products", "--dtype f32"]),
            ("int8", float_plan, ["'int8'", "first", "second", "without --quantize"]),
            ("int8", bf16_plan, ["'int8'", "first", "without --quantize"]),
        )
        for name, plan, words in cases:
            for command in ("run", "bench", "explain"):
                self.refuse(5, words, command, plan, "--require", name)
        self.refuse(5, ["'int8'", "first"], "compile", self.model, "-o", "no.plan", "--require", "int8")
        self.assertFalse((self.folder / "no.plan").exists())
        self.succeed("run", int8_plan, "--require", "int8,bf16,fused,no-fallback")
        kept = ("--quantize", "dynamic", "--keep-float", "last")
        self.succeed("explain", self.model, *kept, "--runs", 0, "--require", "int8")
        self.refuse(5, ["'bf16'", "second"], "run", self.model, *kept, "--require", "bf16")
        self.refuse(2, ["bf61", "bf16"], "run", self.model, "--require", "bf61")

    def test_amx_is_named_with_the_reason_why_not(self) -> None:
        env = {"INTAGLIO_MAX_ISA": "avx2"}
        self.refuse(5, ["'amx'", "first", "isa avx2"], "run", self.model, "--require", "amx", env=env)

    def test_near_misses_fail_fused(self) -> None:
        model = small_models.save(small_models.two_readers(), self.folder / "two.onnx")
        misses = self.report("intaglio.explain/1", "explain", model, "--runs", 2)["near_misses"]
        self.assertEqual([(miss["pattern"], miss["node"]) for miss in misses], [("linear_activation", "act")])
        self.assertGreater(misses[0]["cost_us"], 0)
        merged = small_models.save(small_models.two_readers_of_gelu(), self.folder / "merged.onnx")
        miss = self.report("intaglio.explain/1", "explain", merged, "--runs", 2)["near_misses"][0]
        self.assertIn("; ", miss["node"])
        self.assertGreater(miss["cost_us"], 0)
        for command in ("run", "bench", "explain"):
            self.refuse(5, ["'fused'", "act", "used elsewhere"], command, model, "--require", "fused")


if __name__ == "__main__":
    main()
