(module
  (type $pair (func (param i32 i32) (result i32 i32)))
  (func $swap (type $pair) local.get 1 local.get 0)
  (func (export "branches") (param i32 i64) (result i32) (local i32)
    local.get 0
    block (result i32)
      i32.const 100
      block (result i32)
        i32.const 7
        local.get 0
        br_table 0 1 2 1 0
      end
      i32.add
    end
    i32.add
    local.tee 2
    if (result i32)
      local.get 2
      i32.const 1
      i32.sub
      i32.const 5
      local.set 2
    else
      local.get 0
      i32.eqz
    end
    local.get 2
    local.get 0
    call $swap
    i32.sub
    i32.add)
  (func (export "loop") (param i32) (result i32) (local i32 i64)
    i32.const 1
    i32.const 2
    loop (type $pair)
      call $swap
      local.get 0
      i32.const 1
      i32.sub
      local.tee 0
      br_if 0
    end
    i32.mul
    block
      loop
        local.get 1
        i32.const 3
        i32.add
        local.tee 1
        i32.const 30
        i32.ge_s
        br_if 1
        i32.const 1
        local.get 1
        i32.shl
        i32.const 16
        i32.and
        i32.eqz
        br_if 0
        local.get 2
        i64.const 0x123456789abcdef
        i64.xor
        local.tee 2
        i32.wrap_i64
        br_if 0
        unreachable
      end
    end)
  (func (export "many") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    local.get 3 local.get 2 local.get 1 local.get 0
    local.get 0 br_if 0
    return))
