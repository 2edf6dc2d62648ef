# SPDX-License-Identifier: Apache-2.0
"""warphive inspect."""

from harness import CommandTest


class Inspect(CommandTest):
    def test_summary(self):
        core = self.guest("core")
        out = self.command("inspect", core, status=0).out
        self.assertEqual(out, self.command("inspect", core, "--summary", status=0).out)
        for part in ["core.wasm, module core", "memory: 1 to 20 pages", "  div: function (i32, i32) -> (i32)", "data: 5 bytes in 1 segment",
                     "imports: 0", "exports: "]:
            self.assertIn(part, out)
        self.assertRegex(out, r"instructions: \d+ in the guest, \d+ in the IR \(\d+\.\d\d each\)")

    def test_imports_with_types(self):
        out = self.command("inspect", self.guest("hello"), status=0).out
        self.assertIn("  wasi_snapshot_preview1.fd_write: function (i32, i32, i32, i32) -> (i32)", out)
        self.guest("all", """(module (import "m" "t" (table 1 2 funcref)) (import "m" "mem" (memory 1))
          (import "m" "g" (global (mut i64))) (func (export "f") (global.set 0 (i64.const 1))))""")
        out = self.command("inspect", "all.wasm", status=0).out
        for part in ["m.t: table of funcref, 1 to 2 elements", "m.mem: memory, 1 page or more", "m.g: mutable global i64"]:
            self.assertIn(part, out)
        self.assertIn("global", self.command("inspect", "all.wasm", "--ir", status=0).out)

    def test_listing(self):
        self.guest("listing", """(module (type $t (func (param i32) (result i32))) (table 2 funcref) (memory 1)
          (func $f (param i32) (result i32) (local i64 i64)
            (block $out (result i32)
              (loop (block (br_table 0 1 0 (local.get 0))))
              (if (result i32) (local.get 0) (then (i32.const -5)) (else (i32.load offset=8 align=1 (i32.const 0)))))
            (call_indirect (type $t) (local.get 0))
            drop (f64.const nan:0x8000000000001) drop (f32.const -0) drop (i64.const 0x8000000000000000) drop
            (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) (drop (ref.null func))
            (call $f (i32.const 1))))""")
        out = self.command("inspect", "listing.wasm", "--wasm", status=0).out
        self.assertIn("function 0 f (i32) -> (i32)\n  locals 2 x i64\n", out)
        lines = [line.split("  ", 2)[2] for line in out.splitlines() if line.startswith("  0")]
        for line in ["  block i32", "    loop", "        br_table 0 1 0", "    if i32", "      i32.const -5", "    else",
                     "      i32.load offset=8 align=1", "  call_indirect (i32) -> (i32) table 0", "  f64.const nan:0x8000000000001",
                     "  f32.const -0.0", "  i64.const -9223372036854775808", "  memory.fill 0", "  ref.null funcref", "  call 0 (f)", "end"]:
            self.assertIn(line, lines)
        module = (self.folder / "listing.wasm").read_bytes()
        for line in out.splitlines():
            if line.endswith("memory.fill 0"):
                self.assertEqual(module[int(line.split()[0], 16)], 0xFC)

    def test_vectors(self):
        self.guest("lanes", """(module (memory 1) (func (export "f") (param v128) (result v128)
          (i8x16.shuffle 0 1 2 3 4 5 6 7 24 25 26 27 28 29 30 31 (local.get 0) (v128.const i64x2 1 -2))
          (i8x16.replace_lane 15 (i32.const 9)) (v128.load16_lane offset=2 align=1 7 (i32.const 4) (local.get 0))
          i16x8.extmul_low_i8x16_s))""")
        out = self.command("inspect", "lanes.wasm", "--wasm", status=0).out
        for line in ["v128.const 0100000000000000feffffffffffffff", "i8x16.shuffle 0 1 2 3 4 5 6 7 24 25 26 27 28 29 30 31",
                     "i8x16.replace_lane 15", "v128.load16_lane offset=2 align=1 7", "i16x8.extmul_low_i8x16_s"]:
            self.assertIn("  " + line + "\n", out)
        out = self.command("inspect", "lanes.wasm", "--ir", status=0).out
        for part in ["vector 0 0x1 0xfffffffffffffffe", "shuffle8x16 s", ", vector1", "extmul_low8x16_s"]:
            self.assertIn(part, out)

    def test_ir(self):
        out = self.command("inspect", self.guest("core"), "--ir", status=0).out
        self.assertIn("add", out)
        self.assertIn("charge", out)

    def test_ptx(self):
        core = self.guest("core")
        one = self.command("inspect", core, "--ptx", "--function", "div", status=0).out
        self.assertIn(".target sm_70\n", one)
        self.assertRegex(one, r"\n\t// 0x[0-9a-f]+\n")
        self.assertRegex(one, r"div\.s32")
        whole = self.command("inspect", core, "--ptx", status=0).out
        self.assertRegex(whole, r"^// unit 1 of \d+\n")
        self.assertIn("warphive_native", whole)
        self.failure(125, "inspect", core, "--ptx", "--function", "none")

    def test_a_function_needs_a_form(self):
        self.assertIn("--llvm, --asm or --ptx", self.failure(125, "inspect", self.guest("core"), "--function", "count"))

    def test_errors(self):
        for extra in ([], ["--wasm"], ["--ir"]):
            self.failure(123, "inspect", "none.wasm", *extra)
            self.failure(124, "inspect", self.file("x.wasm", b"\0asm\1\0\0\0\xff"), *extra)
            self.assertIn("wat2wasm", self.failure(124, "inspect", self.file("x.wat", "(module)"), *extra))

    def test_smallest_module(self):
        for extra in ([], ["--wasm"], ["--ir"]):
            self.command("inspect", self.guest("empty"), *extra, status=0)

    def test_names_cannot_drive_a_terminal(self):
        self.guest("odd", '(module (func (export "\\1b[2J")))')
        for extra in ([], ["--wasm"]):
            self.assertNotIn("\x1b", self.command("inspect", "odd.wasm", *extra, status=0).out)
