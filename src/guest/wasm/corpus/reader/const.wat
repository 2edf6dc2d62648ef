(module
  (import "m" "g" (global $g i32)) (import "m" "t" (table 1 funcref)) (import "m" "m" (memory 1))
  (global $a (export "a") i32 (i32.add (global.get $g) (i32.mul (i32.const 3) (i32.const -4))))
  (global i64 (i64.sub (i64.const 9223372036854775807) (i64.const -1)))
  (global f32 (f32.const nan:0x200000)) (global externref (ref.null extern))
  (elem (offset (i32.sub (global.get $g) (i32.const 1))) func $f)
  (data (offset (i32.add (global.get $g) (i32.const 1))) "x")
  (func $f (local i32 i64 f32 f64 funcref externref) (local.set 5 (ref.null extern)) (br 0)))
