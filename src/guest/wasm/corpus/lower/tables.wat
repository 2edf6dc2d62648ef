(module
  (type $f (func (param i32) (result i32)))
  (import "env" "host" (func $host (param i32 f64) (result i64)))
  (import "env" "other" (func))
  (table $t 4 20 funcref)
  (table $x 2 externref)
  (elem (table $t) (i32.const 1) func $one $two)
  (elem $later funcref (ref.func $two) (ref.null func))
  (global $r (mut funcref) (ref.func $one))
  (global $k i32 (i32.const 3))
  (func $one (type $f) local.get 0 i32.const 1 i32.add)
  (func $two (type $f) local.get 0 f64.const 2 call $host i32.wrap_i64)
  (func (export "call") (param i32 externref) (result i32)
    global.get $k
    local.get 0
    call_indirect $t (type $f)
    local.get 0 local.get 1 table.set $x
    local.get 0 table.get $x ref.is_null
    i32.add
    local.get 1 local.get 0 table.grow $x
    i32.add
    ref.null func i32.const 2 table.grow $t
    i32.add
    i32.const 0 i32.const 0 i32.const 2 table.init $t $later
    elem.drop $later
    i32.const 2 i32.const 0 i32.const 1 table.copy $t $t
    i32.const 0 global.get $r i32.const 2 table.fill $t
    ref.func $one global.set $r
    call 1
    table.size $x
    i32.mul))
