// SPDX-License-Identifier: Apache-2.0
#include "exec/ref.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "abi/code.hpp"
#include "abi/state.hpp"
#include "base/check.hpp"
#include "exec/ref_scalar.hpp"
#include "exec/ref_simd.hpp"
#include "ir/operands.hpp"

namespace warphive::exec {
namespace {

using abi::Exit;
using abi::TrapKind;
using ir::Inst;
using ir::Op;
using ir::Shape;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

constexpr uint32_t page_bytes = 65536;
constexpr uint32_t failed_to_grow = 0xffffffff;
constexpr uint32_t chunk_bytes = 1024;
constexpr uint32_t chunk_elements = 128;

uint32_t u32(uint64_t slot) { return static_cast<uint32_t>(slot); }

/// Runs one instance until it stops. One object per run.
class Runner {
 public:
  Runner(const ir::Module& module, RefInstance& instance, const RefHostCall& host_call)
      : module_(module),
        instance_(instance),
        host_call_(host_call),
        global_slots_(ir::global_slots(module)) {}

  void start(uint32_t function, std::span<const uint64_t> args) {
    instance_.stack.assign(instance_.stack_slots, 0);
    instance_.frames.clear();
    instance_.results.clear();
    const uint32_t params = slot_count(type_of(function).params);
    WARPHIVE_CHECK(args.size() == params);
    if (!push(function, 0)) {
      instance_.exit = Exit::trapped;
      instance_.trap = TrapKind::stack_overflow;
      instance_.trap_function = function;
      instance_.trap_inst = 0;
      return;
    }
    std::copy(args.begin(), args.end(), instance_.stack.begin());
    run();
  }

  void run() {
    running_ = true;
    while (running_) step();
  }

 private:
  using Frame = RefInstance::Frame;

  // Frames

  const ir::FunctionType& type_of(uint32_t function) const {
    return module_.types[module_.functions[function].type];
  }
  static uint32_t slot_count(const std::vector<ir::ValueType>& types) {
    uint32_t count = 0;
    for (const ir::ValueType type : types) count += ir::slots(type);
    return count;
  }
  Frame& frame() { return instance_.frames.back(); }
  uint64_t& slot(uint32_t index) { return instance_.stack.at(uint64_t{frame().base} + index); }

  /// The work of `enter`, short of the arguments. False where a stack limit is reached.
  bool push(uint32_t function, uint32_t base) {
    const Inst& enter = module_.functions[function].code.at(0);
    WARPHIVE_CHECK(enter.op == Op::enter);
    if (uint64_t{base} + enter.imm > instance_.stack_slots ||
        instance_.frames.size() >= instance_.max_depth) {
      return false;
    }
    instance_.frames.push_back({.function = function, .inst = 1, .base = base});
    slot(enter.a) = ~uint64_t{0};  // where the interpreter keeps its return address
    for (uint32_t i = 0; i < enter.c; ++i) slot(uint32_t{enter.b} + i) = 0;
    return true;
  }

  void call(uint32_t function, uint32_t argument_base) {
    const uint32_t base = frame().base + argument_base;
    if (instance_.frames.size() < instance_.max_depth) {
      // The caller goes on after the call; set before `frames` may move.
      ++frame().inst;
      if (push(function, base)) return;
      --frame().inst;
    }
    trap(TrapKind::stack_overflow);
  }

  void leave() {
    const uint32_t results = slot_count(type_of(frame().function).results);
    const uint32_t base = frame().base;
    instance_.frames.pop_back();
    if (!instance_.frames.empty()) return;
    instance_.results.assign(instance_.stack.begin() + base,
                             instance_.stack.begin() + base + results);
    stop(Exit::returned);
  }

  // Stops

  void stop(Exit exit) {
    instance_.exit = exit;
    running_ = false;
  }
  void trap(TrapKind kind) {
    instance_.trap = kind;
    instance_.trap_function = frame().function;
    instance_.trap_inst = frame().inst;
    instance_.frames.clear();
    stop(Exit::trapped);
  }
  /// False where the budget does not cover it; the instance then stands at this instruction.
  bool charge(uint64_t units) {
    if (module_.metered && instance_.fuel_left != abi::unlimited_fuel) {
      if (instance_.fuel_left < units) {
        stop(Exit::out_of_fuel);
        return false;
      }
      instance_.fuel_left -= units;
    }
    instance_.fuel_used += units;
    return true;
  }

  void branch(uint32_t block) {
    frame().inst = module_.functions[frame().function].blocks.at(block);
  }
  void next() { ++frame().inst; }

  // Memory

  std::vector<uint8_t>& memory(uint32_t index) { return instance_.memories.at(index); }
  std::vector<uint64_t>& table(uint32_t index) { return instance_.tables.at(index); }

  /// Reads `bytes` bytes, least significant first; nothing where they are not all inside.
  bool read(const Inst& inst, uint32_t bytes, uint64_t& value) {
    const std::vector<uint8_t>& from = memory(ir::imm_high(inst));
    const uint64_t address = uint64_t{u32(slot(inst.b))} + ir::imm_low(inst);
    if (address + bytes > from.size()) return false;
    value = 0;
    for (uint32_t i = bytes; i-- > 0;) value = value * 256 + from[address + i];
    return true;
  }
  bool write(const Inst& inst, uint32_t bytes) {
    std::vector<uint8_t>& to = memory(ir::imm_high(inst));
    const uint64_t address = uint64_t{u32(slot(inst.a))} + ir::imm_low(inst);
    if (address + bytes > to.size()) return false;
    uint64_t value = slot(inst.b);
    for (uint32_t i = 0; i < bytes; ++i, value /= 256) {
      to[address + i] = static_cast<uint8_t>(value % 256);
    }
    return true;
  }
  /// `value` of `bits` bits, sign-extended to `width` bits.
  static uint64_t sign_extended(uint64_t value, uint32_t bits, uint32_t width) {
    if (((value >> (bits - 1)) & 1) == 0) return value;
    const uint64_t all = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
    return value | (all & ~((uint64_t{1} << bits) - 1));
  }
  void load(const Inst& inst, uint32_t bits, uint32_t extended_to) {
    uint64_t value = 0;
    if (!read(inst, bits / 8, value)) return trap(TrapKind::memory_out_of_bounds);
    slot(inst.a) = extended_to == 0 ? value : sign_extended(value, bits, extended_to);
    next();
  }
  void store(const Inst& inst, uint32_t bits) {
    if (!write(inst, bits / 8)) return trap(TrapKind::memory_out_of_bounds);
    next();
  }

  uint32_t grown_memory(uint32_t index, uint32_t delta) {
    std::vector<uint8_t>& bytes = memory(index);
    const uint64_t pages = bytes.size() / page_bytes;
    const uint64_t wanted = pages + delta;
    if (wanted > module_.memories[index].max_pages.value_or(65536)) return failed_to_grow;
    if (wanted > instance_.memory_capacity[index]) {
      ++instance_.grow_refused;
      return failed_to_grow;
    }
    bytes.resize(wanted * page_bytes);
    return static_cast<uint32_t>(pages);
  }
  uint32_t grown_table(uint32_t index, uint32_t delta) {
    std::vector<uint64_t>& elements = table(index);
    const uint64_t size = elements.size();
    const uint64_t wanted = size + delta;
    if (wanted > module_.tables[index].max.value_or(std::numeric_limits<uint32_t>::max()) ||
        wanted > instance_.table_capacity[index]) {
      return failed_to_grow;
    }
    elements.resize(wanted);
    return static_cast<uint32_t>(size);
  }

  // Bulk operations

  uint64_t segment_bytes(uint32_t index) const {
    return instance_.data_dropped.at(index) ? 0 : module_.data_segments[index].size();
  }
  uint64_t segment_elements(uint32_t index) const {
    return instance_.elem_dropped.at(index) ? 0 : module_.element_segments[index].size();
  }
  void check(const Inst& inst, uint64_t to_size, uint64_t from_size, bool has_source,
             TrapKind kind) {
    const uint64_t count = u32(slot(inst.c));
    if (u32(slot(inst.a)) + count > to_size ||
        (has_source && u32(slot(inst.b)) + count > from_size)) {
      return trap(kind);
    }
    next();
  }
  uint64_t element_value(const ir::Element& element) const {
    switch (element.kind) {
      case ir::Element::Kind::null:
        return 0;
      case ir::Element::Kind::function:
        return uint64_t{element.index} + 1;
      case ir::Element::Kind::global:
        return instance_.globals.at(global_slots_[element.index]);
    }
    WARPHIVE_UNREACHABLE();
  }
  /// One chunk of a copy inside or between arrays: front first, or back first where the destination
  /// overlaps from above.
  template <class T>
  void copy_chunk(const Inst& inst, std::vector<T>& to, const std::vector<T>& from, uint32_t most) {
    const uint32_t to_at = u32(slot(inst.a));
    const uint32_t from_at = u32(slot(inst.b));
    const uint32_t count = u32(slot(inst.c));
    const uint32_t n = std::min(count, most);
    const bool forward = &to != &from || to_at <= from_at;
    const uint32_t skipped = forward ? 0 : count - n;
    const std::vector<T> moved(from.begin() + from_at + skipped,
                               from.begin() + from_at + skipped + n);
    std::copy(moved.begin(), moved.end(), to.begin() + to_at + skipped);
    if (forward) {
      slot(inst.a) = u32(to_at + n);
      slot(inst.b) = u32(from_at + n);
    }
    slot(inst.c) = count - n;
    next();
  }
  /// One chunk that writes value(i) for the i-th item of the rest.
  template <class T, class Fn>
  void write_chunk(const Inst& inst, std::vector<T>& to, uint32_t most, bool moves_source,
                   const Fn& value) {
    const uint32_t to_at = u32(slot(inst.a));
    const uint32_t from_at = u32(slot(inst.b));
    const uint32_t count = u32(slot(inst.c));
    const uint32_t n = std::min(count, most);
    for (uint32_t i = 0; i < n; ++i) to[uint64_t{to_at} + i] = value(uint64_t{from_at} + i);
    slot(inst.a) = u32(to_at + n);
    if (moves_source) slot(inst.b) = u32(from_at + n);
    slot(inst.c) = count - n;
    next();
  }

  void call_indirect(const Inst& inst) {
    const std::vector<uint64_t>& elements = table(ir::imm_low(inst));
    const uint32_t index = u32(slot(inst.b));
    if (index >= elements.size()) return trap(TrapKind::undefined_element);
    if (elements[index] == 0) return trap(TrapKind::uninitialized_element);
    const uint32_t function = u32(elements[index] - 1);
    if (module_.functions.at(function).type != ir::imm_high(inst)) {
      return trap(TrapKind::indirect_call_mismatch);
    }
    call(function, inst.a);
  }

  void host_call(uint32_t import) {
    const ir::FunctionType& type = module_.types[module_.host_imports.at(import).type];
    const uint32_t count = std::max(slot_count(type.params), slot_count(type.results));
    Exit exit = Exit::parked;
    if (host_call_) {
      // Its own copy: what the function does with the instance cannot invalidate it.
      std::vector<uint64_t> values(instance_.stack.begin() + frame().base,
                                   instance_.stack.begin() + frame().base + count);
      exit = host_call_(instance_, import, values);
      std::copy(values.begin(), values.end(), instance_.stack.begin() + frame().base);
    }
    switch (exit) {
      case Exit::ready:
        return next();
      case Exit::trapped:
        return trap(instance_.trap == TrapKind::none ? TrapKind::host : instance_.trap);
      case Exit::parked:
        next();
        return stop(exit);
      case Exit::exited:
        instance_.frames.clear();
        return stop(exit);
      default:
        return stop(exit);
    }
  }

  void step() {
    const ir::Function& function = module_.functions[frame().function];
    const Inst& inst = function.code.at(frame().inst);
    switch (ir::info(inst.op).shape) {
      case Shape::d_a:
        return scalar(inst, slot(inst.b), 0);
      case Shape::d_ab:
        return scalar(inst, slot(inst.b), slot(inst.c));
      case Shape::d_ak:
        return scalar(inst, slot(inst.b), inst.imm);
      case Shape::br_ab:
        return conditional(inst, slot(inst.a), slot(inst.b));
      case Shape::br_ak:
        return conditional(inst, slot(inst.a), static_cast<uint64_t>(ir::branch_constant(inst)));
      default:
        break;
    }
    if (ir::operands(inst.op).wide != 0) return vector(inst);
    switch (inst.op) {
      case Op::const_k:
        slot(inst.a) = inst.imm;
        return next();
      case Op::ref_func:
        slot(inst.a) = inst.imm + 1;
        return next();
      case Op::select:
        slot(inst.a) = u32(slot(u32(inst.imm))) != 0 ? slot(inst.b) : slot(inst.c);
        return next();
      case Op::global_get:
        slot(inst.a) = instance_.globals.at(global_slots_[inst.imm]);
        return next();
      case Op::global_set:
        instance_.globals.at(global_slots_[inst.imm]) = slot(inst.a);
        return next();

      case Op::load8_u:
        return load(inst, 8, 0);
      case Op::load8_s32:
        return load(inst, 8, 32);
      case Op::load8_s64:
        return load(inst, 8, 64);
      case Op::load16_u:
        return load(inst, 16, 0);
      case Op::load16_s32:
        return load(inst, 16, 32);
      case Op::load16_s64:
        return load(inst, 16, 64);
      case Op::load32_u:
        return load(inst, 32, 0);
      case Op::load32_s64:
        return load(inst, 32, 64);
      case Op::load64:
        return load(inst, 64, 0);
      case Op::store8:
        return store(inst, 8);
      case Op::store16:
        return store(inst, 16);
      case Op::store32:
        return store(inst, 32);
      case Op::store64:
        return store(inst, 64);
      case Op::memory_size:
        slot(inst.a) = memory(u32(inst.imm)).size() / page_bytes;
        return next();
      case Op::memory_grow:
        slot(inst.a) = grown_memory(u32(inst.imm), u32(slot(inst.b)));
        return next();

      case Op::memory_fill_check:
        return check(inst, memory(u32(inst.imm)).size(), 0, false, TrapKind::memory_out_of_bounds);
      case Op::memory_copy_check:
        return check(inst, memory(ir::imm_low(inst)).size(), memory(ir::imm_high(inst)).size(),
                     true, TrapKind::memory_out_of_bounds);
      case Op::memory_init_check:
        return check(inst, memory(ir::imm_low(inst)).size(), segment_bytes(ir::imm_high(inst)),
                     true, TrapKind::memory_out_of_bounds);
      case Op::table_fill_check:
        return check(inst, table(u32(inst.imm)).size(), 0, false, TrapKind::table_out_of_bounds);
      case Op::table_copy_check:
        return check(inst, table(ir::imm_low(inst)).size(), table(ir::imm_high(inst)).size(), true,
                     TrapKind::table_out_of_bounds);
      case Op::table_init_check:
        return check(inst, table(ir::imm_low(inst)).size(), segment_elements(ir::imm_high(inst)),
                     true, TrapKind::table_out_of_bounds);
      case Op::memory_fill_chunk: {
        const auto value = static_cast<uint8_t>(slot(inst.b) % 256);
        return write_chunk(inst, memory(u32(inst.imm)), chunk_bytes, false,
                           [value](uint64_t) { return value; });
      }
      case Op::memory_copy_chunk:
        return copy_chunk(inst, memory(ir::imm_low(inst)), memory(ir::imm_high(inst)), chunk_bytes);
      case Op::memory_init_chunk: {
        const std::vector<std::byte>& data = module_.data_segments[ir::imm_high(inst)];
        return write_chunk(inst, memory(ir::imm_low(inst)), chunk_bytes, true,
                           [&data](uint64_t i) { return static_cast<uint8_t>(data[i]); });
      }
      case Op::table_fill_chunk: {
        const uint64_t value = slot(inst.b);
        return write_chunk(inst, table(u32(inst.imm)), chunk_elements, false,
                           [value](uint64_t) { return value; });
      }
      case Op::table_copy_chunk:
        return copy_chunk(inst, table(ir::imm_low(inst)), table(ir::imm_high(inst)),
                          chunk_elements);
      case Op::table_init_chunk: {
        const std::vector<ir::Element>& elements = module_.element_segments[ir::imm_high(inst)];
        return write_chunk(inst, table(ir::imm_low(inst)), chunk_elements, true,
                           [this, &elements](uint64_t i) { return element_value(elements[i]); });
      }
      case Op::data_drop:
        instance_.data_dropped.at(inst.imm) = true;
        return next();
      case Op::elem_drop:
        instance_.elem_dropped.at(inst.imm) = true;
        return next();

      case Op::table_get: {
        const std::vector<uint64_t>& elements = table(u32(inst.imm));
        const uint32_t index = u32(slot(inst.b));
        if (index >= elements.size()) return trap(TrapKind::table_out_of_bounds);
        slot(inst.a) = elements[index];
        return next();
      }
      case Op::table_set: {
        std::vector<uint64_t>& elements = table(u32(inst.imm));
        const uint32_t index = u32(slot(inst.a));
        if (index >= elements.size()) return trap(TrapKind::table_out_of_bounds);
        elements[index] = slot(inst.b);
        return next();
      }
      case Op::table_size:
        slot(inst.a) = table(u32(inst.imm)).size();
        return next();
      case Op::table_grow:
        slot(inst.a) = grown_table(u32(inst.imm), u32(slot(inst.b)));
        return next();

      case Op::charge:
        if (charge(inst.imm)) next();
        return;
      case Op::bulk_charge: {
        const uint64_t bytes = std::min<uint64_t>(u32(slot(inst.a)) * inst.imm, chunk_bytes);
        if (charge(bytes / 64 + (bytes % 64 != 0 ? 1 : 0))) next();
        return;
      }

      case Op::br:
        return branch(u32(inst.imm));
      case Op::br_table: {
        const std::vector<uint32_t>& targets = function.branch_tables.at(inst.imm);
        const uint64_t index = std::min<uint64_t>(u32(slot(inst.a)), targets.size() - 1);
        return branch(targets[index]);
      }
      case Op::trap:
        return trap(static_cast<TrapKind>(inst.imm));
      case Op::call:
        return call(u32(inst.imm), inst.a);
      case Op::call_indirect:
        return call_indirect(inst);
      case Op::host_call:
        return host_call(u32(inst.imm));
      case Op::ret:
        return leave();
      case Op::ret_mov:
        slot(0) = slot(inst.b);
        return leave();
      default:
        WARPHIVE_UNREACHABLE();  // `enter` in the middle of a function
    }
  }

  // Vectors

  abi::Vector vector_at(uint32_t index) { return {slot(index), slot(index + 1)}; }
  void give(const Inst& inst, const abi::Vector& value) {
    slot(inst.a) = value.low;
    slot(uint32_t{inst.a} + 1) = value.high;
    next();
  }
  void vector(const Inst& inst) {
    const auto imm = static_cast<uint32_t>(inst.imm);
    switch (ir::info(inst.op).shape) {
      case Shape::v_v:
        return give(inst, ref_vector(inst.op, {.x = vector_at(inst.b)}));
      case Shape::v_vv:
        return give(inst, ref_vector(inst.op, {.x = vector_at(inst.b), .y = vector_at(inst.c)}));
      case Shape::v_vvv:
        return give(inst, ref_vector(inst.op, {.x = vector_at(inst.b),
                                               .y = vector_at(inst.c),
                                               .z = vector_at(imm)}));
      case Shape::v_vva:
        return give(inst, vector_at(u32(slot(imm)) != 0 ? inst.b : inst.c));
      case Shape::v_va:
        return give(inst,
                    ref_vector(inst.op, {.x = vector_at(inst.b), .scalar = u32(slot(inst.c))}));
      case Shape::v_a:
        return give(inst, ref_vector(inst.op, {.scalar = slot(inst.b)}));
      case Shape::d_v:
      case Shape::d_vk:
        slot(inst.a) = ref_vector_scalar(inst.op, vector_at(inst.b), imm);
        return next();
      case Shape::v_vak:
        return give(
            inst, ref_vector(inst.op, {.x = vector_at(inst.b), .scalar = slot(inst.c), .k = imm}));
      case Shape::v_vvg:
        return give(inst,
                    ref_shuffle(vector_at(inst.b), vector_at(inst.c), module_.vectors.at(imm)));
      case Shape::v_g: {
        if (inst.op == Op::const128) return give(inst, module_.vectors.at(imm));
        const uint32_t at = global_slots_[imm];
        return give(inst, {instance_.globals.at(at), instance_.globals.at(at + 1)});
      }
      case Shape::g_v: {
        const uint32_t at = global_slots_[imm];
        instance_.globals.at(at) = slot(inst.a);
        instance_.globals.at(at + 1) = slot(uint32_t{inst.a} + 1);
        return next();
      }
      case Shape::load_v:
        return load_vector(inst);
      case Shape::store_v:
        return store_vector(inst);
      default:
        WARPHIVE_UNREACHABLE();
    }
  }
  void load_vector(const Inst& inst) {
    const uint32_t bytes = ir::info(inst.op).src_bits / 8;
    uint64_t value = 0;
    if (bytes < 16) {
      if (!read(inst, bytes, value)) return trap(TrapKind::memory_out_of_bounds);
      return give(inst, ref_loaded_vector(inst.op, value));
    }
    const std::vector<uint8_t>& from = memory(ir::imm_high(inst));
    const uint64_t address = uint64_t{u32(slot(inst.b))} + ir::imm_low(inst);
    if (address + 16 > from.size()) return trap(TrapKind::memory_out_of_bounds);
    abi::Vector loaded;
    for (uint32_t i = 8; i-- > 0;) {
      loaded.low = loaded.low * 256 + from[address + i];
      loaded.high = loaded.high * 256 + from[address + 8 + i];
    }
    give(inst, loaded);
  }
  void store_vector(const Inst& inst) {
    std::vector<uint8_t>& to = memory(ir::imm_high(inst));
    const uint64_t address = uint64_t{u32(slot(inst.a))} + ir::imm_low(inst);
    if (address + 16 > to.size()) return trap(TrapKind::memory_out_of_bounds);
    abi::Vector value = vector_at(inst.b);
    for (uint32_t i = 0; i < 8; ++i, value.low /= 256, value.high /= 256) {
      to[address + i] = static_cast<uint8_t>(value.low % 256);
      to[address + 8 + i] = static_cast<uint8_t>(value.high % 256);
    }
    next();
  }

  void scalar(const Inst& inst, uint64_t x, uint64_t y) {
    const ScalarResult result = ref_scalar(inst.op, x, y);
    if (result.trap != TrapKind::none) return trap(result.trap);
    slot(inst.a) = result.value;
    next();
  }
  void conditional(const Inst& inst, uint64_t x, uint64_t y) {
    if (ref_condition(inst.op, x, y)) return branch(u32(inst.imm));
    next();
  }

  const ir::Module& module_;
  RefInstance& instance_;
  const RefHostCall& host_call_;
  const std::vector<uint32_t> global_slots_;
  bool running_ = false;
};

void forget_last_stop(RefInstance& instance) {
  instance.exit = Exit::ready;
  instance.trap = TrapKind::none;
  instance.trap_function = ir::none;
  instance.trap_inst = 0;
  instance.exit_code = 0;
}

}  // namespace

RefInstance ref_spawn(const ir::Module& module, uint32_t memory_capacity, uint32_t table_capacity) {
  RefInstance instance;
  for (const ir::Memory& memory : module.memories) {
    instance.memories.emplace_back(uint64_t{memory.min_pages} * page_bytes);
    instance.memory_capacity.push_back(std::max(memory_capacity, memory.min_pages));
  }
  for (const ir::Table& table : module.tables) {
    instance.tables.emplace_back(table.min);
    instance.table_capacity.push_back(std::max(table_capacity, table.min));
  }
  instance.globals.resize(ir::global_slots(module).back());
  instance.data_dropped.resize(module.data_segments.size());
  instance.elem_dropped.resize(module.element_segments.size());
  return instance;
}

void ref_call(const ir::Module& module, RefInstance& instance, uint32_t function,
              std::span<const uint64_t> args, const RefHostCall& host_call) {
  forget_last_stop(instance);
  Runner(module, instance, host_call).start(function, args);
}

void ref_resume(const ir::Module& module, RefInstance& instance, const RefHostCall& host_call) {
  WARPHIVE_CHECK(!instance.frames.empty());
  forget_last_stop(instance);
  Runner(module, instance, host_call).run();
}

}  // namespace warphive::exec
