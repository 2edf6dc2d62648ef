// SPDX-License-Identifier: Apache-2.0
#include "guest/wasm/lower_init.hpp"

#include <algorithm>

#include "abi/exit.hpp"
#include "base/result.hpp"
#include "guest/wasm/lower_builder.hpp"
#include "guest/wasm/lower_function.hpp"

namespace warphive::wasm {
namespace {

using ir::Op;

constexpr std::uint32_t header_slot = 0;
constexpr std::uint32_t first_temporary = 1;

class InitLowering {
 public:
  InitLowering(const Module& module, std::vector<ir::Vector>& vectors)
      : module_(module), vectors_(vectors) {}

  Status lower(ir::Function& function) {
    builder_.begin(first_temporary);
    builder_.emit(Op::enter, header_slot, first_temporary, 0, 0);
    check_imports();
    for (std::uint32_t i = 0; i < module_.global_entries.size(); ++i) {
      const GlobalEntry& entry = module_.global_entries[i];
      builder_.set_source(entry.offset);
      evaluate(entry.init);
      const bool is_vector = entry.type.type == ValueType::v128;
      builder_.emit(is_vector ? Op::global_set128 : Op::global_set, first_temporary, 0, 0,
                    module_.imported_globals + i);
    }
    for (std::uint32_t i = 0; i < module_.element_segments.size(); ++i) {
      const ElementSegment& segment = module_.element_segments[i];
      builder_.set_source(segment.offset);
      if (segment.mode == SegmentMode::active) {
        write(segment.start, segment.items.size(), Op::table_init_check, Op::table_init_chunk,
              ir::imm_pair(segment.table, i));
      }
      if (segment.mode != SegmentMode::passive) builder_.emit(Op::elem_drop, 0, 0, 0, i);
    }
    for (std::uint32_t i = 0; i < module_.data_segments.size(); ++i) {
      const DataSegment& segment = module_.data_segments[i];
      builder_.set_source(segment.offset);
      if (segment.mode != SegmentMode::active) continue;
      write(segment.start, segment.bytes.size(), Op::memory_init_check, Op::memory_init_chunk,
            ir::imm_pair(segment.memory, i));
      builder_.emit(Op::data_drop, 0, 0, 0, i);
    }
    builder_.emit(Op::ret, header_slot, 0, 0, 0);
    if (frame_slots_ > FunctionBuilder::first_constant_slot) {
      return base::error(ErrorCode::limit_exceeded, ErrorPhase::lower,
                         "A constant expression needs more slots ({}) than an instruction can name "
                         "({}).",
                         frame_slots_, FunctionBuilder::first_constant_slot);
    }
    builder_.finish(function);
    function.header_slot = header_slot;
    function.frame_slots = frame_slots_;
    function.code[0].imm = frame_slots_;
    return {};
  }

 private:
  std::uint32_t temporary(std::uint32_t index) {
    frame_slots_ = std::max(frame_slots_, first_temporary + index + 1);
    return first_temporary + index;
  }

  void check_imports() {
    for (std::uint32_t i = 0; i < module_.imported_memories; ++i) {
      check_import(Op::memory_size, i, module_.memories[i].limits.min);
    }
    for (std::uint32_t i = 0; i < module_.imported_tables; ++i) {
      check_import(Op::table_size, i, module_.tables[i].limits.min);
    }
  }

  void check_import(Op size_op, std::uint32_t index, std::uint32_t min) {
    if (min == 0) return;
    const Label enough = builder_.new_label();
    builder_.emit(size_op, temporary(0), 0, 0, index);
    builder_.emit(Op::br_ge32_u_k, temporary(0), min & 0xffff, min >> 16, enough);
    builder_.emit(Op::trap, 0, 0, 0, static_cast<std::uint64_t>(abi::TrapKind::import_limits));
    builder_.bind(enough);
  }

  // Leaves the value in the first temporary.
  void evaluate(const ConstExpr& expression) {
    std::uint32_t depth = 0;
    for (const ConstOp& op : expression) {
      switch (op.kind) {
        case ConstOp::Kind::constant:
          builder_.emit(Op::const_k, temporary(depth++), 0, 0, op.bits);
          break;
        case ConstOp::Kind::null:
          builder_.emit(Op::const_k, temporary(depth++), 0, 0, 0);
          break;
        case ConstOp::Kind::function:
          builder_.emit(Op::ref_func, temporary(depth++), 0, 0, op.bits);
          break;
        case ConstOp::Kind::global:
          if (module_.globals[op.bits].type == ValueType::v128) {
            temporary(depth + 1);
            builder_.emit(Op::global_get128, temporary(depth++), 0, 0, op.bits);
          } else {
            builder_.emit(Op::global_get, temporary(depth++), 0, 0, op.bits);
          }
          break;
        case ConstOp::Kind::vector:
          temporary(depth + 1);
          builder_.emit(Op::const128, temporary(depth++), 0, 0, vectors_.size());
          vectors_.push_back(read_vector(module_.bytes.data() + op.bits));
          break;
        case ConstOp::Kind::add32:
          combine(Op::add32, depth);
          break;
        case ConstOp::Kind::sub32:
          combine(Op::sub32, depth);
          break;
        case ConstOp::Kind::mul32:
          combine(Op::mul32, depth);
          break;
        case ConstOp::Kind::add64:
          combine(Op::add64, depth);
          break;
        case ConstOp::Kind::sub64:
          combine(Op::sub64, depth);
          break;
        case ConstOp::Kind::mul64:
          combine(Op::mul64, depth);
          break;
      }
    }
    WARPHIVE_CHECK(depth == 1);
  }

  void combine(Op op, std::uint32_t& depth) {
    WARPHIVE_CHECK(depth >= 2);
    --depth;
    builder_.emit(op, temporary(depth - 1), temporary(depth - 1), temporary(depth), 0);
  }

  // Writes a whole segment, without charges: the module's own size bounds the loop.
  void write(const ConstExpr& start, std::size_t length, Op check, Op chunk, std::uint64_t imm) {
    evaluate(start);
    const std::uint32_t to = temporary(0);
    const std::uint32_t from = temporary(1);
    const std::uint32_t count = temporary(2);
    builder_.emit(Op::const_k, from, 0, 0, 0);
    builder_.emit(Op::const_k, count, 0, 0, length);
    builder_.emit(check, to, from, count, imm);
    if (length != 0) emit_chunk_loop(builder_, chunk, to, from, count, imm, 0);
  }

  const Module& module_;
  std::vector<ir::Vector>& vectors_;
  FunctionBuilder builder_;
  std::uint32_t frame_slots_ = first_temporary;
};

}  // namespace

Status lower_init(const Module& module, std::vector<ir::Vector>& vectors, ir::Function& function) {
  return InitLowering(module, vectors).lower(function);
}

}  // namespace warphive::wasm
