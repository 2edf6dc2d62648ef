(module
  (memory (export "memory") 1 4)
  (data (i32.const 16) "some bytes")
  (data $passive "others")
  (global $sp (mut i32) (i32.const 1024))
  (func (export "sum") (param i32 i32) (result i64) (local i64)
    block
      local.get 1
      i32.eqz
      br_if 0
      loop
        local.get 2
        local.get 0
        i64.load8_u offset=16
        i64.add
        local.set 2
        local.get 0
        i32.const 0
        i32.store16 offset=64 align=1
        local.get 0
        i32.const 1
        i32.add
        local.set 0
        local.get 1
        i32.const -1
        i32.add
        local.tee 1
        br_if 0
      end
    end
    local.get 2)
  (func (export "bulk") (param i32)
    local.get 0 i32.const 0 i32.const 6 memory.init $passive
    data.drop $passive
    i32.const 0 local.get 0 i32.const 2000 memory.copy
    i32.const 8 local.get 0 local.get 0 memory.fill
    memory.size memory.grow drop)
  (func (export "stack") (result i32)
    global.get $sp i32.const 16 i32.sub global.set $sp
    global.get $sp f64.const 1.5 f64.store
    global.get $sp i32.load8_s offset=7))
