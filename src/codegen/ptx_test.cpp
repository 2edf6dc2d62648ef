// SPDX-License-Identifier: Apache-2.0
// What PTX looks like, and that random programs become such that assembles. The guests' is checked
// by tests/ptx.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "codegen/device_compiler.hpp"
#include "exec/testing.hpp"
#include "ir/testing/random_module.hpp"
#include "opt/pipeline.hpp"

namespace warphive::codegen {
namespace {

using exec::testing::FunctionBuilder;
using ir::Op;

ir::FunctionType type(std::vector<ir::ValueType> params, std::vector<ir::ValueType> results) {
  return {.params = std::move(params), .results = std::move(results)};
}

ir::Module with_memory() {
  ir::Module module;
  module.memories.push_back({.min_pages = 1, .max_pages = {}, .grows = true});
  return module;
}

PtxProgram compiled(const ir::Module& module, const DeviceOptions& options = {}) {
  const Result<ir::EncodedProgram> encoded = ir::encode(module);
  EXPECT_TRUE(encoded);
  Result<PtxProgram> program = compile_ptx(module, *encoded, options);
  EXPECT_TRUE(program) << program.error().describe();
  return program ? std::move(*program) : PtxProgram{};
}

std::string all(const PtxProgram& program) {
  std::string text;
  for (const std::string& unit : program.units) text += unit;
  return text;
}

/// Body of a function of the program.
std::string function(const PtxProgram& program, std::uint32_t index) {
  const std::string text = all(program);
  const std::size_t first = text.find(") f" + std::to_string(index) + "(",
                                      text.find("// .globl\tf" + std::to_string(index)));
  EXPECT_NE(first, std::string::npos);
  return text.substr(first, text.find("\n}\n", first) - first);
}

constexpr const char* no_vectors = "vectors are interpreted on this target";

std::size_t count(const std::string& text, const std::string& what) {
  const std::regex pattern(what);
  return static_cast<std::size_t>(
      std::distance(std::sregex_iterator(text.begin(), text.end(), pattern), {}));
}

/// Nothing that is not exact, nothing that is not of a known address space.
void expect_sound(const std::string& text) {
  EXPECT_EQ(count(text, R"(\.target (?!sm_70\n))"), 0U);
  EXPECT_EQ(count(text, R"(\.version 8\.3\n)"), count(text, R"(\.target sm_70\n)"));
  // Lanes' state is .global, contexts are .local, all else is .param.
  EXPECT_EQ(count(text, R"(\b(ld|st)(\.volatile)?\.[busfv])"), 0U);
  EXPECT_EQ(count(text, R"(\.approx|\.ftz|\.full|\bfma\.|\bmad\.rn|\bbrx|\btrap;|\bexit;)"), 0U);
  EXPECT_EQ(count(text, R"((ld|st)\.global\.(v2|v4))"), 0U);
  for (const char* region : {"lane.memory", "lane.globals", "lane.state", "lane.stack"}) {
    EXPECT_EQ(text.find(region), std::string::npos) << region;
  }
}

TEST(Ptx, AnAlignedAccessIsOneMultiplyAddAndAMisalignedOneIsOutOfLine) {
  ir::Module module = with_memory();
  // An index times 4 is aligned whatever it is; an address is not.
  FunctionBuilder known(module, exec::testing::type(1, 1), 0, 1);
  known.op(Op::shl32_k, known.local(0), 0, 0, 2)
      .op(Op::load32_u, known.local(0), known.local(0), 0, ir::imm_pair(8, 0))
      .ret_mov(known.local(0));
  FunctionBuilder unknown(module, exec::testing::type(1, 1), 0, 1);
  unknown.op(Op::load32_u, unknown.local(0), 0, 0, ir::imm_pair(8, 0)).ret_mov(unknown.local(0));
  FunctionBuilder byte(module, exec::testing::type(1, 1), 0, 1);
  byte.op(Op::load8_u, byte.local(0), 0, 0, ir::imm_pair(8, 0)).ret_mov(byte.local(0));
  FunctionBuilder wide(module, exec::testing::type(1, 1), 0, 1);
  wide.op(Op::load64, wide.local(0), 0, 0, ir::imm_pair(8, 0)).ret_mov(wide.local(0));
  const PtxProgram program = compiled(module);
  EXPECT_EQ(count(function(program, 0), "load_misaligned"), 0U);
  EXPECT_EQ(count(function(program, 0), R"(ld\.global\.u32 .*\+256\])"), 1U);
  EXPECT_EQ(count(function(program, 1), "load_misaligned4_4"), 1U);
  EXPECT_EQ(count(function(program, 1), R"(ld\.global\.u32)"), 1U);
  EXPECT_EQ(count(function(program, 2), "load_misaligned"), 0U);
  EXPECT_EQ(count(function(program, 2), R"(ld\.global\.u8)"), 1U);
  // Two words, 128 bytes apart.
  EXPECT_EQ(count(function(program, 3), R"(ld\.global\.u32)"), 2U);
  EXPECT_EQ(count(function(program, 3), "load_misaligned8_4"), 1U);
  expect_sound(all(program));
}

TEST(Ptx, CellsAndLanesArePolicies) {
  ir::Module module = with_memory();
  FunctionBuilder wide(module, exec::testing::type(1, 1), 0, 1);
  wide.op(Op::shl32_k, wide.local(0), 0, 0, 3)
      .op(Op::load64, wide.local(0), wide.local(0), 0, ir::imm_pair(16, 0))
      .ret_mov(wide.local(0));
  DeviceOptions options;
  options.shape = {.lanes = 8, .memory_cell = 8};
  const std::string body = function(compiled(module, options), 0);
  EXPECT_EQ(count(body, R"(ld\.global\.u64 .*\+128\])"), 1U);
  EXPECT_EQ(count(body, "misaligned"), 0U);
}

TEST(Ptx, SignsOfFloatsAreBits) {
  ir::Module module = with_memory();
  using enum ir::ValueType;
  for (const Op op : {Op::negf32, Op::absf32}) {
    FunctionBuilder f(module, type({f32}, {f32}), 0, 1);
    f.op(op, f.local(0), 0).ret_mov(f.local(0));
  }
  for (const Op op : {Op::negf64, Op::absf64}) {
    FunctionBuilder f(module, type({f64}, {f64}), 0, 1);
    f.op(op, f.local(0), 0).ret_mov(f.local(0));
  }
  FunctionBuilder sign(module, type({f64, f64}, {f64}), 0, 1);
  sign.op(Op::copysignf64, sign.local(0), 0, 1).ret_mov(sign.local(0));
  // The same by hand, through memory: LLVM forwards what is stored.
  FunctionBuilder memory(module, type({f32, i32}, {f32}), 0, 1);
  memory.op(Op::store32, 1, 0, 0, ir::imm_pair(0, 0))
      .op(Op::load32_u, memory.local(0), 1, 0, ir::imm_pair(0, 0))
      .op(Op::xor32_k, memory.local(0), memory.local(0), 0, 0x80000000u)
      .op(Op::store32, 1, memory.local(0), 0, ir::imm_pair(0, 0))
      .op(Op::load32_u, memory.local(0), 1, 0, ir::imm_pair(0, 0))
      .ret_mov(memory.local(0));
  const std::string text = all(compiled(module));
  EXPECT_EQ(count(text, R"(\b(neg|abs|copysign)\.f)"), 0U);
  EXPECT_GT(count(text, R"(xor\.b)"), 1U);
  expect_sound(text);
}

TEST(Ptx, ArithmeticIsExactAndItsNansAreCanonical) {
  ir::Module module;
  using enum ir::ValueType;
  for (const Op op : {Op::addf64, Op::mulf64, Op::divf64, Op::minf64, Op::maxf64}) {
    FunctionBuilder f(module, type({f64, f64}, {f64}), 0, 1);
    f.op(op, f.local(0), 0, 1).ret_mov(f.local(0));
  }
  FunctionBuilder chain(module, type({f32, f32, f32}, {f32}), 0, 1);
  chain.op(Op::mulf32, chain.local(0), 0, 1)
      .op(Op::addf32, chain.local(0), chain.local(0), 2)
      .op(Op::sqrtf32, chain.local(0), chain.local(0))
      .ret_mov(chain.local(0));
  const PtxProgram program = compiled(module);
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_GE(count(function(program, i), "0d7FF8000000000000"), 1U) << i;
  }
  const std::string body = function(program, 5);
  for (const char* op : {R"(mul\.rn\.f32)", R"(add\.rn\.f32)", R"(sqrt\.rn\.f32)", "0f7FC00000"}) {
    EXPECT_EQ(count(body, op), 1U) << op;
  }
  expect_sound(all(program));
}

TEST(Ptx, OnlyWhatCallsLooksAtTheNativeStack) {
  ir::Module module;
  FunctionBuilder leaf(module, exec::testing::type(0, 0), 0, 0);
  leaf.ret();
  FunctionBuilder caller(module, exec::testing::type(0, 0), 0, 1);
  caller.op(Op::call, caller.local(0), 0, 0, leaf.index()).ret();
  FunctionBuilder self(module, exec::testing::type(0, 0), 0, 1);
  self.op(Op::call, self.local(0), 0, 0, self.index()).ret();
  // Two that call each other.
  FunctionBuilder ping(module, exec::testing::type(0, 0), 0, 1);
  ping.op(Op::call, ping.local(0), 0, 0, ping.index() + 1).ret();
  FunctionBuilder pong(module, exec::testing::type(0, 0), 0, 1);
  pong.op(Op::call, pong.local(0), 0, 0, ping.index()).ret();
  const PtxProgram program = compiled(module);
  for (const auto& [index, looks] :
       {std::pair{0U, false}, {1U, true}, {2U, true}, {3U, true}, {4U, true}}) {
    EXPECT_EQ(count(function(program, index), "stacksave") != 0, looks) << index;
  }
  // A cycle of direct calls does not show: tile_target.hpp says why.
  for (const auto& [index, hidden] : {std::pair{1U, false}, {2U, true}, {3U, true}, {4U, true}}) {
    EXPECT_EQ(count(function(program, index), R"(call \(retval0\),\s*%rd)") != 0, hidden) << index;
  }
}

TEST(Ptx, OnlyDirectCallsAreTheSameForAllLanes) {
  ir::Module module;
  ir::Table table;
  table.min = 4;
  module.tables.push_back(table);
  FunctionBuilder leaf(module, exec::testing::type(0, 0), 0, 0);
  leaf.ret();
  FunctionBuilder caller(module, exec::testing::type(1, 0), 0, 1);
  caller
      .op(Op::call_indirect, caller.local(0), 0, 0,
          ir::imm_pair(0, module.functions[leaf.index()].type))
      .ret();
  const PtxProgram program = compiled(module);
  const std::string through_table = function(program, caller.index());
  EXPECT_EQ(count(through_table, R"(call \(retval0\),\s*%rd)"), 1U) << through_table;
  EXPECT_EQ(count(all(program), R"(call\.uni \(retval0\),\s*%rd)"), 0U);
}

TEST(Ptx, VectorsAreInterpretedAndPassThroughSignatures) {
  ir::Module module;
  module.vectors.push_back({1, 2});
  const ir::FunctionType vectors = type({ir::ValueType::v128}, {ir::ValueType::v128});
  FunctionBuilder negate(module, vectors, 0, 0);
  negate.op(Op::neg8x16, 0, 0).ret();
  FunctionBuilder scalar(module, exec::testing::type(1, 1), 0, 0);
  scalar.op(Op::add32_k, 0, 0, 0, 1).ret();
  const PtxProgram program = compiled(module);
  ASSERT_EQ(program.reasons.size(), 1U);
  EXPECT_EQ(program.reasons[0], "function 0: " + std::string(no_vectors));
  EXPECT_EQ(program.functions[0], Compiled::no);
  EXPECT_EQ(program.functions[1], Compiled::yes);
  expect_sound(all(program));
}

TEST(Ptx, GoesOnAtLoopsAndBehindCallsAsFarAsTheLimitAllows) {
  ir::Module module;
  FunctionBuilder callee(module, exec::testing::type(1, 1), 0, 0);
  callee.charge(3).op(Op::add64, 0, 0, 0).ret();
  FunctionBuilder f(module, exec::testing::type(2, 1), 1, 3);
  const std::uint16_t i = f.local(0);
  const std::uint16_t base = f.local(1);
  f.charge(2);
  f.block().charge(20).op(Op::const_k, base, 0, 0, 1).op(Op::call, base, 0, 0, callee.index());
  f.charge(5).op(Op::add64, 0, 0, base).op(Op::add64_k, i, i, 0, 1);
  f.op(Op::br_lt64_u, i, 1, 0, 1);
  f.block().charge(1).ret();
  const Result<ir::EncodedProgram> encoded = ir::encode(module);
  ASSERT_TRUE(encoded);
  const auto ops_at = [&](const PtxProgram& program) {
    std::vector<Op> ops;
    for (const std::uint32_t insn : program.resumes) {
      const ir::Location at = ir::locate(*encoded, insn);
      EXPECT_EQ(at.function, f.index());
      ops.push_back(module.functions[at.function].code[at.inst - 1].op);
    }
    return ops;
  };
  DeviceOptions options;
  const std::vector<Op> all = ops_at(compiled(module, options));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0], Op::charge) << "behind it the loop begins";
  EXPECT_EQ(all[1], Op::call);
  // All of a function's are in one variant.
  options.resume_instructions = size_of(module.functions[f.index()]);
  EXPECT_EQ(ops_at(compiled(module, options)), all);
  options.resumes_per_function = 1;
  EXPECT_EQ(ops_at(compiled(module, options)), std::vector<Op>{Op::charge});
  --options.resume_instructions;
  EXPECT_TRUE(compiled(module, options).resumes.empty());
}

TEST(Ptx, UnitsAreBoundedAndWhatIsTooLargeStaysInterpreted) {
  ir::testing::Choices choices(7);
  ir::testing::RandomOptions random;
  random.functions = 8;
  random.vectors = false;
  ir::Module module = ir::testing::random_module(choices, random);
  DeviceOptions options;
  options.unit_bytes = 1;  // one function each
  const std::size_t functions = module.functions.size();
  const PtxProgram parts = compiled(module, options);
  EXPECT_EQ(parts.units.size(), functions + 2);
  EXPECT_TRUE(parts.reasons.empty());
  options.unit_bytes = std::uint64_t{1} << 30;
  options.most_unit_bytes = 5'000;
  const PtxProgram small = compiled(module, options);
  ASSERT_FALSE(small.reasons.empty());
  for (std::size_t i = 1; i + 1 < small.units.size(); ++i) EXPECT_LE(small.units[i].size(), 5'000U);
  for (const std::string& reason : small.reasons) {
    EXPECT_NE(reason.find("its PTX is larger than the limit"), std::string::npos) << reason;
  }
}

/// Functions that some unit calls and none defines.
std::vector<std::string> missing(const PtxProgram& program) {
  const std::string text = all(program);
  const std::regex symbol(R"(\n(\.extern|\.visible) \.func[^{;]*?\s(f\d+)\s*\()");
  std::set<std::string> wanted;
  std::set<std::string> defined;
  for (std::sregex_iterator at(text.begin(), text.end(), symbol), end; at != end; ++at) {
    ((*at)[1] == ".extern" ? wanted : defined).insert((*at)[2]);
  }
  EXPECT_FALSE(wanted.empty());
  std::vector<std::string> names;
  std::set_difference(wanted.begin(), wanted.end(), defined.begin(), defined.end(),
                      std::back_inserter(names));
  return names;
}

/// Each function calls the one before it.
ir::Module chain(std::uint32_t functions) {
  ir::Module module;
  for (std::uint32_t i = 0; i < functions; ++i) {
    FunctionBuilder f(module, exec::testing::type(1, 1), 0, 1);
    f.charge(1);
    if (i != 0) f.op(Op::call, f.local(0), 0, 0, i - 1);
    f.op(Op::add64, 0, 0, 0).ret();
  }
  return module;
}

TEST(Ptx, BeyondALimitFunctionsStayInterpreted) {
  constexpr std::uint32_t functions = 12;
  const ir::Module module = chain(functions);
  DeviceOptions options;
  options.unit_bytes = 1;  // one function each
  const PtxProgram whole = compiled(module, options);
  EXPECT_EQ(missing(whole), std::vector<std::string>{});
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < 6; ++i) bytes += whole.units[i].size();  // stubs, five functions

  const auto expect_some = [&](const PtxProgram& program, const char* reason) {
    const auto made = std::count(program.functions.begin(), program.functions.end(), Compiled::yes);
    EXPECT_GT(made, 0);
    EXPECT_EQ(program.reasons.size(), functions - static_cast<std::size_t>(made));
    ASSERT_FALSE(program.reasons.empty());
    EXPECT_NE(program.reasons[0].find(reason), std::string::npos) << program.reasons[0];
    EXPECT_EQ(missing(program), std::vector<std::string>{});
    expect_sound(all(program));
  };
  // From the last one on, so that what is compiled calls what is not.
  for (std::uint32_t i = functions; i-- > 0;) options.first.push_back(i);
  DeviceOptions small = options;
  small.limits.code_bytes = bytes;
  const PtxProgram few = compiled(module, small);
  expect_some(few, "the program's code is larger than the limit");
  EXPECT_EQ(few.functions[functions - 1], Compiled::yes);
  EXPECT_EQ(few.functions[0], Compiled::no);
  EXPECT_FALSE(few.ran_out);
  small = options;
  small.limits.program_instructions = 3 * size_of(module.functions[1]);
  expect_some(compiled(module, small), "the program is larger than the limit");

  DeviceOptions late = options;
  late.limits.seconds = 1e-9;
  const PtxProgram none = compiled(module, late);
  EXPECT_TRUE(none.ran_out);
  EXPECT_EQ(none.functions, std::vector<Compiled>(functions, Compiled::no));
  EXPECT_NE(none.reasons[0].find("takes longer than the limit"), std::string::npos);
  EXPECT_EQ(none.units.size(), 2U) << "stubs and tables";
}

TEST(Ptx, UnitsAreTakenOneByOne) {
  const ir::Module module = chain(4);
  const Result<ir::EncodedProgram> encoded = ir::encode(module);
  std::atomic<bool> stop = false;
  DeviceOptions options;
  options.unit_bytes = 1;
  options.limits.stop = &stop;
  std::size_t units = 0;
  const auto stopped = compile_ptx(module, *encoded, options, [&](std::string_view) {
    stop = ++units == 2;
    return Status();
  });
  EXPECT_EQ(units, 2U);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), ErrorCode::cancelled);
  stop = false;
  const auto refused = compile_ptx(module, *encoded, options, [](std::string_view) {
    return Status(tl::unexpected(Error(ErrorCode::unavailable, ErrorPhase::codegen, "No.")));
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "No.");
}

TEST(Ptx, RandomProgramsAreSound) {
  std::size_t bytes = 0;
  std::size_t instructions = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    ir::testing::Choices choices(seed);
    ir::testing::RandomOptions random;
    random.host_calls = seed % 2 == 0;
    random.metered = seed % 5 != 0;
    random.vectors = seed % 3 == 0;
    ir::Module module = ir::testing::random_module(choices, random);
    opt::optimise(module);
    DeviceOptions options;
    options.resumes_per_function = seed % 4 == 0 ? 2 : 0;
    const PtxProgram program = compiled(module, options);
    for (const std::string& reason : program.reasons) {
      EXPECT_TRUE(random.vectors && reason.find(no_vectors) != std::string::npos) << reason;
    }
    for (const ir::Function& f : module.functions) instructions += f.code.size();
    bytes += all(program).size();
    expect_sound(all(program));
    if (HasFailure()) FAIL() << "seed " << seed;
  }
  RecordProperty("bytes_per_instruction", static_cast<int>(bytes / instructions));
}

TEST(Ptx, ListsAFunctionWithTheGuestsOffsets) {
  ir::Module module = with_memory();
  FunctionBuilder f(module, exec::testing::type(1, 1), 0, 1);
  f.op(Op::load8_u, f.local(0), 0, 0, ir::imm_pair(8, 0)).ret_mov(f.local(0));
  module.functions[0].source = {0x10, 0x1234, 0x1236};
  const Result<ir::EncodedProgram> encoded = ir::encode(module);
  const Result<std::string> text = list_ptx(module, *encoded, 0);
  ASSERT_TRUE(text) << text.error().describe();
  EXPECT_GE(count(*text, "\n\t// 0x1234\n"), 1U) << *text;
  EXPECT_EQ(count(*text, R"(\.loc\s|\.file|\.section)"), 0U);
  EXPECT_EQ(count(*text, R"(ld\.global\.u8)"), 1U);
}

}  // namespace
}  // namespace warphive::codegen
