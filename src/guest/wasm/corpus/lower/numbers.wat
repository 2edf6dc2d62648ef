(module
  (func (export "mix") (param i32 i64 f32 f64) (result f64) (local i32 f64)
    local.get 0 i32.const 6 i32.const 7 i32.mul i32.rotl i32.clz
    local.get 1 i64.popcnt i32.wrap_i64 i32.extend8_s i32.xor
    local.tee 4 f64.convert_i32_u
    local.get 3 f64.max
    local.get 2 f64.promote_f32 local.get 3 local.get 4 i32.const 3 i32.gt_u select
    f64.copysign local.tee 5
    local.get 5 local.get 3 f64.lt i32.eqz
    if local.get 3 local.set 5 end
    i64.trunc_sat_f64_s local.get 1 i64.shr_s
    local.get 1 i64.const 5 i64.rem_u i64.ne
    drop
    loop (result f64)
      local.get 5 f64.const 0.5 f64.mul local.tee 5
      local.get 5 f64.const 1 f64.gt br_if 0
      f64.const 0x1p-3 f64.add
      i64.reinterpret_f64 i64.const 1 i64.or f64.reinterpret_i64
    end
    local.get 0 i32.const 0 i32.eq
    br_if 0
    local.get 3 f32.demote_f64 i32.trunc_f32_s i64.extend_i32_s f64.convert_i64_s
    f64.sub))
