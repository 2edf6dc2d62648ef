# SPDX-License-Identifier: Apache-2.0
"""Small modules for check_fuel.py: between them every construct that an instruction count can get wrong."""

# (name, module fields, {export: [arguments of one instance, ...]})
CASES = [
    ("nothing", '(func (export "f"))', {"f": [[]]}),
    ("nops and drops", '(func (export "f") nop nop (drop (i32.const 1)) (drop (i64.const 2)) nop)', {"f": [[]]}),
    ("constants", '(func (export "f") (result i32 i64 f32 f64) i32.const 1 i64.const 2 f32.const 3 f64.const 4)',
     {"f": [[]]}),
    ("locals", """(func (export "f") (param i32 i32) (result i32) (local i32 i64)
        (local.set 2 (i32.add (local.get 0) (local.get 1)))
        (local.set 0 (local.tee 1 (local.get 2)))
        (local.set 3 (i64.extend_i32_u (local.get 0)))
        (i32.add (local.get 1) (i32.wrap_i64 (local.get 3))))""", {"f": [[1, 2]]}),
    ("globals", """(global $g (mut i32) (i32.const 5)) (global $c i64 (i64.const 6))
        (func (export "f") (param i32) (result i64)
          (global.set $g (i32.add (global.get $g) (local.get 0)))
          (i64.add (i64.extend_i32_s (global.get $g)) (global.get $c)))""", {"f": [[7]]}),
    ("select", """(func (export "f") (param i32) (result i32)
          (select (i32.const 1) (i32.const 2) (local.get 0)))
        (func (export "typed") (param i32) (result externref)
          (select (result externref) (ref.null extern) (ref.null extern) (local.get 0)))""",
     {"f": [[0], [1]], "typed": [[0], [1]]}),
    ("blocks that cost nothing", """(func (export "f") (result i32)
        (block (block (block (nop)))) (loop) (block (result i32) (loop (result i32) (i32.const 3))))""", {"f": [[]]}),
    ("if without else", """(func (export "f") (param i32) (result i32)
        (if (local.get 0) (then (local.set 0 (i32.mul (local.get 0) (i32.const 3))))) (local.get 0))""",
     {"f": [[0], [1]]}),
    ("if with both arms", """(func (export "f") (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (local.get 0) (i32.add (i32.const 1) (i32.const 2))))
          (else (i32.const 9))))""", {"f": [[0], [1]]}),
    ("if with empty arms", """(func (export "f") (param i32) (result i32)
        (if (local.get 0) (then) (else)) (if (local.get 0) (then nop) (else (drop (i32.const 1)))) (local.get 0))""",
     {"f": [[0], [1]]}),
    ("if with parameters", """(func (export "f") (param i32) (result i32)
        (i32.const 10) (i32.const 20) (local.get 0)
        (if (param i32 i32) (result i32) (then i32.add) (else i32.sub (i32.const 1) i32.add)))""", {"f": [[0], [1]]}),
    ("if on a comparison", """(func (export "f") (param i32 i32) (result i32)
        (if (result i32) (i32.lt_s (local.get 0) (local.get 1)) (then (i32.const 1))
          (else (if (result i32) (i32.eqz (local.get 1)) (then (i32.const 2)) (else (i32.const 3))))))""",
     {"f": [[1, 2], [2, 1], [0, 0]]}),
    ("if on constants", """(func (export "f") (result i32)
        (if (i32.const 1) (then (nop)) (else (drop (i32.const 1)) (drop (i32.const 2))))
        (if (i32.const 0) (then (drop (i32.add (i32.const 1) (i32.const 2)))) (else))
        (if (result i32) (i32.eqz (i32.const 0)) (then (i32.const 4)) (else (i32.const 5))))""", {"f": [[]]}),
    ("nested if", """(func (export "f") (param i32 i32) (result i32) (local i32)
        (if (local.get 0)
          (then (if (local.get 1) (then (local.set 2 (i32.const 1))) (else (local.set 2 (i32.const 2)))))
          (else (if (local.get 1) (then (return (i32.const 77))))))
        (local.get 2))""", {"f": [[0, 0], [0, 1], [1, 0], [1, 1]]}),
    ("br out of blocks", """(func (export "f") (param i32) (result i32)
        (block (br 0) (drop (i32.add (i32.const 1) (i32.const 2))))
        (block (block (br 1)) (local.set 0 (i32.const 6)))
        (local.get 0))""", {"f": [[3]]}),
    ("br with values", """(func (export "f") (param i32) (result i32)
        (block (result i32 i64) (br 0 (i32.const 1) (i64.const 2)) (drop (i32.const 9)) unreachable) drop
        (block (result i32) (drop (br_if 0 (i32.const 5) (local.get 0))) (i32.const 6)) i32.add)""",
     {"f": [[0], [1]]}),
    ("br_if", """(func (export "f") (param i32) (result i32)
        (block (br_if 0 (local.get 0)) (local.set 0 (i32.const 4)))
        (block (br_if 0 (i32.gt_u (local.get 0) (i32.const 3))) (local.set 0 (i32.const 8)))
        (block (br_if 0 (i32.const 1)) (drop (i32.const 1)))
        (block (br_if 0 (i32.const 0)) (drop (i32.const 1)))
        (local.get 0))""", {"f": [[0], [1], [5]]}),
    ("br_if out of the function", """(func (export "f") (param i32) (result i32)
        (drop (br_if 0 (i32.const 1) (local.get 0))) (block (br_if 1 (i32.const 9) (i32.eqz (local.get 0))) drop)
        (i32.const 2))
        (func (export "g") (param i32) (br_if 0 (local.get 0)) (drop (i32.const 2)))
        (func (export "h") (result i32) (br 0 (i32.const 3)))""", {"f": [[0], [1]], "g": [[0], [1]], "h": [[]]}),
    ("br_table", """(func (export "f") (param i32) (result i32)
        (block (block (block (block (br_table 0 1 2 3 1 (local.get 0)))
          (return (i32.const 10))) (return (i32.add (i32.const 11) (i32.const 1)))) (nop))
        (i32.const 13))""", {"f": [[i] for i in (0, 1, 2, 3, 4, 5, -1)]}),
    ("br_table with values", """(func (export "f") (param i32) (result i32)
        (i32.add (i32.const 100) (block (result i32) (i32.add (i32.const 1) (block (result i32)
          (br_table 0 1 2 (i32.const 7) (local.get 0)))))))""", {"f": [[0], [1], [2], [9]]}),
    ("br_table with one target", """(func (export "f") (param i32) (result i32)
        (block (br_table 0 (local.get 0)) (drop (i32.const 1)))
        (block (block (br_table 0 0 0 1 (i32.const 2)) (drop (i32.const 1))) (drop (i32.const 5)))
        (i32.const 1))""", {"f": [[0], [3]]}),
    ("br_table into loops", """(func (export "f") (param i32) (result i32) (local i32)
        (block $out (loop $a (loop $b
          (local.set 1 (i32.add (local.get 1) (i32.const 1)))
          (br_table $a $b $out (i32.sub (local.get 1) (local.get 0))))))
        (local.get 1))""", {"f": [[1]]}),
    ("loop", """(func (export "f") (param i32) (result i32) (local i32)
        (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1))""", {"f": [[1], [2], [1000]]}),
    ("while loop", """(func (export "f") (param i32) (result i32) (local i32)
        (block (loop (br_if 1 (i32.ge_s (local.get 1) (local.get 0)))
          (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br 0)))
        (local.get 1))""", {"f": [[0], [1], [1000]]}),
    ("loop with parameters", """(func (export "f") (param i32) (result i32)
        (i32.const 0) (local.get 0)
        (loop (param i32 i32) (result i32) (local.set 0) (local.get 0) (i32.add)
          (local.get 0) (i32.const 1) (i32.sub) (local.get 0) (i32.const 1) (i32.gt_s) (br_if 0) (drop)))""",
     {"f": [[1], [2], [50]]}),
    ("nested loops", """(func (export "f") (param i32) (result i32) (local i32 i32)
        (loop (local.set 1 (local.get 0))
          (loop (local.set 2 (i32.add (local.get 2) (i32.const 1)))
            (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 2))""", {"f": [[1], [9]]}),
    ("loop that falls through", """(func (export "f") (param i32) (result i32)
        (loop) (loop (nop) (block (br 0))) (loop (result i32) (local.get 0)))""",
     {"f": [[4]]}),
    ("loop with a cold exit", """(func (export "f") (param i32) (result i32)
        (loop (if (i32.eqz (local.get 0)) (then (return (i32.const 42))))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br 0)) unreachable)""", {"f": [[0], [20]]}),
    ("continue from an inner block", """(func (export "f") (param i32) (result i32) (local i32)
        (loop $next (block $odd
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $odd (i32.and (local.get 0) (i32.const 1)))
            (local.set 1 (i32.add (local.get 1) (i32.const 10)))
            (br_if $next (local.get 0)) (return (local.get 1)))
          (br $next)) unreachable)""", {"f": [[1], [2], [11]]}),
    ("dead code after br", """(func (export "f") (param i32) (result i32)
        (block (br 0) (br 0) (loop (br 0)) (if (i32.const 1) (then (nop)) (else (drop (i32.const 1))))
          (drop (i32.add (i32.const 1) (i32.const 2))) (call 0 (i32.const 1)) drop)
        (local.get 0))""", {"f": [[3]]}),
    ("dead code after return", """(func (export "f") (param i32) (result i32)
        (if (local.get 0) (then (return (i32.const 1)) (drop (i32.const 2)) (block (drop (i32.const 3)))))
        (return (i32.const 4)) (block (result i32) (i32.const 5)) (i32.add (i32.const 1)))""", {"f": [[0], [1]]}),
    ("dead code after unreachable", """(func (export "f") (param i32) (result i32)
        (if (local.get 0) (then unreachable (drop (i32.add)) (br_table 0 0) (select) (drop) (nop)) (else (nop)))
        (i32.const 6))""", {"f": [[0]]}),
    ("dead code after br_table", """(func (export "f") (param i32) (result i32)
        (block (block (br_table 0 1 (local.get 0)) (drop (i32.const 1)) (loop (br_if 0 (i32.const 1)))) (nop)
          (drop (i32.const 2)))
        (i32.const 6))""", {"f": [[0], [1]]}),
    ("blocks whose end is not reached", """(func (export "f") (param i32) (result i32)
        (block (result i32) (if (local.get 0) (then (br 1 (i32.const 1))) (else (br 1 (i32.const 2))))
          (drop (i32.const 3)) (i32.const 4))
        (block (result i32) (if (result i32) (local.get 0) (then (br 1 (i32.const 5))) (else (i32.const 6))) drop
          (i32.const 7)) i32.add)""", {"f": [[0], [1]]}),
    ("an if of which one arm ends", """(func (export "f") (param i32) (result i32)
        (if (result i32) (local.get 0) (then (return (i32.const 3))) (else (i32.const 4)))
        (if (result i32) (local.get 0) (then (i32.const 5)) (else (return (i32.const 6)))) i32.add)""",
     {"f": [[0], [1]]}),
    ("calls", """(func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func $empty)
        (func (export "f") (param i32) (result i32)
          (call $empty) (call $leaf (call $leaf (local.get 0))) (call $empty) (drop (call $leaf (i32.const 3))))""",
     {"f": [[5]]}),
    ("recursion", """(func $fib (export "f") (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
          (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                         (call $fib (i32.sub (local.get 0) (i32.const 2)))))))""", {"f": [[0], [1], [12]]}),
    ("mutual recursion", """(func $even (export "f") (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (return (i32.const 1)))) (call $odd (i32.sub (local.get 0) (i32.const 1))))
        (func $odd (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (return (i32.const 0)))) (call $even (i32.sub (local.get 0) (i32.const 1))))""",
     {"f": [[0], [7], [8]]}),
    ("calls in branches", """(func $g (param i32) (result i32) (if (local.get 0) (then (return (i32.const 2)))) (i32.const 0))
        (func (export "f") (param i32) (result i32) (local i32)
          (loop (br_if 0 (call $g (i32.eqz (local.tee 1 (i32.add (local.get 1) (i32.const 1)))))))
          (if (call $g (local.get 0)) (then (drop (call $g (i32.const 0)))) (else (nop)))
          (block (br_table 0 0 (call $g (local.get 0))))
          (select (call $g (i32.const 1)) (i32.const 4) (local.get 0)))""", {"f": [[0], [1]]}),
    ("multiple results", """(func $two (param i32) (result i32 i64) (local.get 0) (i64.const 5))
        (func (export "f") (param i32) (result i64) (call $two (local.get 0)) (local.set 0 (i32.wrap_i64)) (drop)
          (call $two (i32.const 2)) (i64.extend_i32_u (local.get 0)) i64.add (call $two (i32.const 3)) drop drop
          (local.set 0 (i32.wrap_i64)) (i64.extend_i32_s))""", {"f": [[5]]}),
    ("call_indirect", """(type $t (func (param i32) (result i32))) (table 3 funcref) (elem (i32.const 0) $a $b)
        (func $a (type $t) (local.get 0)) (func $b (type $t) (i32.mul (local.get 0) (i32.const 2)))
        (func (export "f") (param i32 i32) (result i32) (call_indirect (type $t) (local.get 0) (local.get 1)))
        (func (export "g") (result i32) (call_indirect (type $t) (i32.const 4) (i32.const 1)))""",
     {"f": [[5, 0], [5, 1]], "g": [[]]}),
    ("host calls", """(import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (param i32) (result i32)
          (loop (drop (call $yield)) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (call $yield))""",
     {"f": [[1], [5]]}),
    ("host calls through a table", """(import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (memory (export "memory") 1) (table funcref (elem $yield))
        (func (export "f") (result i32) (call_indirect (result i32) (i32.const 0)))""", {"f": [[]]}),
    ("an exported host function", """(import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (memory (export "memory") 1) (export "f" (func $yield))""", {"f": [[]]}),
    ("start function", """(global $g (mut i32) (i32.const 0)) (start $s)
        (func $s (local i32) (loop (local.set 0 (i32.add (local.get 0) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get 0) (i32.const 10)))) (global.set $g (local.get 0)))
        (func (export "f") (result i32) (global.get $g))""", {"f": [[]]}),
    ("empty start function", '(start $s) (func $s) (func (export "f"))', {"f": [[]]}),
    ("host function as start function", """(import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
        (memory (export "memory") 1) (start $s) (func $s) (func (export "f"))""", {"f": [[]]}),
    ("_initialize", """(global $g (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $g (i32.add (global.get $g) (i32.const 3))))
        (func (export "f") (result i32) (global.get $g))""", {"f": [[]]}),
    ("start, _initialize and segments", """(global $g (mut i32) (i32.const 0)) (memory (export "memory") 1) (table 4 funcref)
        (data (i32.const 100) "some bytes") (elem (i32.const 1) $s) (start $s)
        (func $s (global.set $g (i32.load8_u (i32.const 100))))
        (func (export "_initialize") (global.set $g (i32.add (global.get $g) (i32.const 3))))
        (func (export "f") (result i32) (global.get $g))""", {"f": [[]]}),
    ("loads and stores", """(memory (export "memory") 1) (func (export "f") (param i32) (result i64)
          (i32.store (local.get 0) (i32.const 77)) (i64.store offset=8 (local.get 0) (i64.const 5))
          (i32.store8 (i32.const 3) (local.get 0)) (f64.store (i32.const 64) (f64.const 2))
          (i64.add (i64.load8_s (local.get 0)) (i64.add (i64.load (i32.const 8)) (i64.load32_u (local.get 0)))))""",
     {"f": [[0], [40]]}),
    ("memory.size and memory.grow that fail", """(memory (export "memory") 1 3) (func (export "f") (param i32) (result i32)
          (drop (memory.grow (local.get 0))) (memory.size) (memory.grow (i32.const 0)) i32.add)""",
     {"f": [[0], [3], [-1]]}),
    ("tail calls", """(table 2 funcref) (elem (i32.const 0) $sub $f)
          (func $sub (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
          (func $f (export "f") (param i32 i32) (result i32) (local i32)
            (local.set 2 (i32.add (local.get 2) (local.get 1)))
            (if (i32.eqz (local.get 0)) (then (return (local.get 2))))
            (return_call $f (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 2) (local.get 0))))
          (func (export "g") (param i32 i32) (result i32) (return_call_indirect (param i32 i32) (result i32)
            (local.get 0) (local.get 1) (i32.and (local.get 0) (i32.const 1))))
          (func (export "h") (param i32 i32) (result i32) (return_call $sub (local.get 0) (local.get 1)))""",
     {"f": [[0, 5], [1, 5], [100000, 3]], "g": [[8, 3], [9, 3]], "h": [[9, 4]]}),
    ("numbers", """(func (export "f") (param i32 i64) (result i64)
          (i64.add (i64.rotl (local.get 1) (i64.const 3)) (i64.extend_i32_u (i32.clz (local.get 0))))
          (i64.extend8_s) (i64.trunc_sat_f64_s (f64.sqrt (f64.convert_i64_s (local.get 1)))) i64.xor
          (i64.reinterpret_f64 (f64.neg (f64.promote_f32 (f32.demote_f64 (f64.const 1.5))))) i64.or
          (i64.extend_i32_s (i64.eqz (local.get 1))) i64.sub
          (i64.extend_i32_s (i32.div_s (local.get 0) (i32.const 3))) i64.add)""", {"f": [[5, 6]]}),
    ("constants that fold", """(func (export "f") (result i32) (local i32)
          (local.set 0 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))
          (i32.eqz (i32.eqz (i32.xor (local.get 0) (local.get 0)))))""", {"f": [[]]}),
    ("references", """(table $t 2 20 funcref) (elem declare func $f)
        (func $f (export "f") (param i32) (result i32)
          (table.set $t (i32.const 1) (ref.func $f))
          (i32.add (ref.is_null (table.get $t (local.get 0))) (table.size $t)))""", {"f": [[0], [1]]}),
    ("dropped segments", """(memory (export "memory") 1) (table 2 funcref) (data $d "abc") (elem $e funcref (ref.null func))
        (func (export "f") (data.drop $d) (elem.drop $e))""", {"f": [[]]}),
    ("deep nesting", "(func (export \"f\") (param i32) (result i32) " + "(block " * 200 +
     "(br_table " + " ".join(str(i) for i in range(200)) + " (local.get 0)) " + "(local.set 0 (i32.const 1)))" * 200 + " (local.get 0))",
     {"f": [[0], [100], [199], [500]]}),
]

# Where the counts differ by known numbers: wasmtime's newest versions charge 1 per byte or element of a bulk operation and
# per page or element grown; we charge 1 per 64 bytes (8 bytes an element), and nothing for pages.
# (name, fields, arguments, sizes in bytes, sizes in elements, pages)
BULK = [
    (f"bulk operations, {n}", """(memory (export "memory") 2) (table $t 4000 funcref) (table $u 4000 funcref) (elem $e func $f)
        (data $d "0123456789")
        (func $f (export "f") (param $n i32)
          (memory.fill (i32.const 8) (i32.const 1) (local.get $n))
          (memory.copy (i32.const 100) (i32.const 8) (local.get $n))
          (memory.copy (i32.const 8) (i32.const 100) (local.get $n))
          (memory.init $d (i32.const 0) (i32.const 1) (i32.const 5))
          (table.fill $t (i32.const 0) (ref.func $f) (local.get $n))
          (table.copy $t $u (i32.const 0) (i32.const 0) (local.get $n))
          (table.copy $u $u (i32.const 0) (i32.const 1) (local.get $n))
          (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)))""",
     [n], [n, n, n, 5], [n, n, n, 1], 0)
    for n in (0, 1, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 3000)
] + [
    (f"grow by {n}", """(memory (export "memory") 1 10) (table $t 1 1 funcref)
        (func $f (export "f") (param i32) (result i32)
          (i32.add (memory.grow (local.get 0)) (table.grow $t (ref.null func) (local.get 0))))""", [n], [], [], n)
    for n in (0, 1, 9)
]
