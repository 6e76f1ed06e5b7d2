"""The page of the comparison, without measuring: `python3 -m unittest discover -s benches/peers`."""

import json
import unittest

import page

ABOUT = {"when": "2026-01-02", "machine": "2 cores", "versions": {"tintype": "0.1.0"}, "rounds": 3, "seconds": 4.0,
         "concurrency": 50, "picture": "drawn", "picture_bytes": 230000, "body_bytes": 306000}


def row(title: str, throughput: float, **others: object) -> dict:
    figures = {"mean": 200.0, "p50": 190.0, "p99": 260.0, "cpu_ms": 4.0, "rss_peak_mib": 90.0, "start_s": 0.07}
    return {"title": title, "throughput": throughput, **figures, "share": throughput / 400, "shares": [throughput / 400, 0.8], "ratio": 300 / throughput,
            "variant": "", "variants": {"": throughput}, "client_cpu_percent": 4.0, "others_percent": 0.5, "about": ABOUT, **others}


def results() -> dict:
    peer = row("FastAPI", 100.0, variant="in threads", variants={"in threads": 100.0, "on the event loop": 90.0})
    floor = {"prepare_ms": 1.5, "run_ms": 1.0, "in_process_share": 0.9}
    return {"models": {"mobilenet_v3_small": {"about": ABOUT, "floor": floor, "servers": {"tintype": row("tintype", 300.0),
                                                                                          "fastapi-onnx": peer}}}}


class Page(unittest.TestCase):
    def test_only_what_is_between_markers_changes(self):
        text = "before\n<!-- measured: floor -->\nold\n<!-- end -->\nafter\n"
        found = page.rendered(text, results())
        self.assertTrue(found.startswith("before\n<!-- measured: floor -->\n| model |"))
        self.assertTrue(found.endswith("\n<!-- end -->\nafter\n"))
        self.assertNotIn("old", found)
        self.assertEqual(page.rendered(found, results()), found)

    def test_what_falls_short_is_bold(self):
        self.assertIn("| 400.0 | 300.0 | **0.75** (0.75 to 0.80) | 0.85 | 3.00 | 2.8 | 1.30 | 0.90 |", page.floor(results()))

    def test_every_server_has_a_row_and_both_of_its_ways(self):
        found = page.peers(results())
        self.assertIn("| FastAPI | 100.0 | 3.00 | 0.25 | 190 | 260 | 200 | 4.00 | 90 | 0.1 |", found)
        self.assertIn("FastAPI in the first round: in threads 100.0, on the event loop 90.0.", found)

    def test_a_machine_that_was_not_idle_is_told(self):
        found = results()
        found["models"]["mobilenet_v3_small"]["servers"]["tintype"]["others_percent"] = 20.0
        self.assertIn("tintype: others had 20 % of its core", page.peers(found))

    def test_a_run_without_tintype_leaves_dashes(self):
        found = results()
        del found["models"]["mobilenet_v3_small"]["servers"]["tintype"]
        found["models"]["mobilenet_v3_small"]["servers"]["fastapi-onnx"]["ratio"] = None
        self.assertIn("| 400.0 | – | – | 0.85 | – | 2.8 | – | 0.90 |", page.floor(found))
        self.assertIn("| FastAPI | 100.0 | – |", page.peers(found))

    def test_the_page_is_that_of_the_stored_results(self):
        text = page.PAGE.read_text()
        stored = json.loads((page.HERE / "results.json").read_text())
        self.assertEqual(page.rendered(text, stored), text, "run `python3 benches/peers/page.py`")


if __name__ == "__main__":
    unittest.main()
