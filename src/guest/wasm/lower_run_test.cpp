// SPDX-License-Identifier: Apache-2.0
// Lowered modules behave as WebAssembly says, on every executor, metered or not.
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exec/testing.hpp"
#include "guest/wasm/lower_testing.hpp"
#include "ir/link.hpp"

namespace warphive::wasm {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using abi::Exit;
using abi::TrapKind;
using exec::testing::Executor;
using exec::testing::HostFunction;
using exec::testing::HostView;
using exec::testing::Outcome;
using exec::testing::Subject;
using O = Opcode;
using M = MiscOpcode;
using Values = std::vector<std::uint64_t>;

// One instance of a module; every function import `env` is a host function.
class Instance {
 public:
  Instance(Executor executor, const ModuleBuilder& builder, bool metered,
           const HostFunction& host = {}) {
    const ir::Module lowered = lower_valid(builder, LowerOptions{.metered = metered});
    ir::LinkOptions options;
    options.host_function = [&lowered](std::string_view, std::string_view field) {
      std::optional<ir::FunctionType> type;
      for (const ir::Function& function : lowered.functions) {
        if (function.import && function.import->field == field) {
          type = lowered.types[function.type];
        }
      }
      return type;
    };
    const ir::LinkInput input{&lowered, ""};
    Result<ir::Module> linked = ir::link(std::span(&input, 1), options);
    if (!linked) {
      ADD_FAILURE() << linked.error().describe();
      return;
    }
    module_ = std::move(*linked);
    subject_ = exec::testing::make_subject(executor, module_, {}, host);
    init_ = subject_->call(module_.members[0].init, {});
  }

  [[nodiscard]] const Outcome& init() const { return init_; }
  [[nodiscard]] Subject& subject() { return *subject_; }
  [[nodiscard]] const ir::Module& module() const { return module_; }
  Outcome call(std::string_view name, const Values& args = {}) {
    const ir::Export* entry = ir::find_export(module_, name, EntityKind::function);
    if (entry == nullptr) {
      ADD_FAILURE() << "There is no export " << name << ".";
      return {};
    }
    return subject_->call(entry->index, args);
  }

 private:
  ir::Module module_;
  std::unique_ptr<Subject> subject_;
  Outcome init_;
};

class LowerRun : public ::testing::TestWithParam<Executor> {
 protected:
  // Results of the only function of `builder`, which must return; its cost goes to `fuel`.
  Values run(ModuleBuilder& builder, std::uint32_t function, const Values& args,
             std::uint64_t* fuel = nullptr) {
    builder.export_function("run", function);
    Values results;
    for (const bool metered : {false, true}) {
      Instance instance(GetParam(), builder, metered);
      EXPECT_EQ(instance.init().exit, Exit::returned);
      EXPECT_EQ(instance.init().fuel_used, 0u);
      const Outcome outcome = instance.call("run", args);
      EXPECT_EQ(outcome.exit, Exit::returned) << abi::to_string(outcome.trap);
      if (metered) {
        EXPECT_EQ(outcome.results, results);
        if (fuel != nullptr) *fuel = outcome.fuel_used;
      }
      results = outcome.results;
    }
    return results;
  }
  Values run(const Bytes& params, const Bytes& results, const Bytes& code, const Values& args,
             const std::vector<std::pair<std::uint32_t, std::uint8_t>>& locals = {}) {
    ModuleBuilder builder;
    builder.memory(limits(1));
    return run(builder, builder.function(builder.type(params, results), code, locals), args);
  }
  TrapKind trap(const Bytes& params, const Bytes& results, const Bytes& code, const Values& args) {
    ModuleBuilder builder;
    builder.memory(limits(1));
    builder.table(funcref, limits(4));
    builder.export_function("run", builder.function(builder.type(params, results), code));
    const Outcome outcome = Instance(GetParam(), builder, true).call("run", args);
    EXPECT_EQ(outcome.exit, Exit::trapped);
    return outcome.trap;
  }
};

TEST_P(LowerRun, ResultsThatAreParametersAreMovedInParallel) {
  EXPECT_EQ(run({i32, i32}, {i32, i32}, get(1) + get(0), {1, 2}), (Values{2, 1}));
  EXPECT_EQ(run({i32, i32, i32}, {i32, i32, i32}, get(1) + get(2) + get(0), {1, 2, 3}),
            (Values{2, 3, 1}));
  // Two cycles, a fixed point, a value read twice and a constant.
  EXPECT_EQ(
      run({i32, i32, i32, i32, i32, i32, i32}, {i32, i32, i32, i32, i32, i32, i32},
          get(1) + get(0) + get(2) + get(4) + get(3) + get(4) + c32(9), {1, 2, 3, 4, 5, 6, 7}),
      (Values{2, 1, 3, 5, 4, 5, 9}));
  EXPECT_EQ(run({i64}, {i32, i64, i32},
                get(0) + op(O::i32_wrap_i64) + get(0) + get(0) + op(O::i32_wrap_i64) + c32(1) +
                    op(O::i32_add),
                {0x1'0000'0005}),
            (Values{5, 0x1'0000'0005, 6}));
}

TEST_P(LowerRun, LoopParametersMayTradePlaces) {
  // (a, b, n) -> (b, a + b, n - 1) while n, as parameters of the loop.
  ModuleBuilder builder;
  const std::uint32_t step = builder.type({i64, i64}, {i64, i64});
  const std::uint32_t type = builder.type({i32}, {i64});
  const Bytes body = set(1) + tee(2) + get(1) + get(2) + op(O::i64_add) + set(2) + set(3) + get(1) +
                     set(3) + get(3) + get(2) +  //
                     get(0) + c32(1) + op(O::i32_sub) + tee(0) + op(O::br_if, 0);
  const std::uint32_t function = builder.function(
      type, c64(0) + c64(1) + loop(static_cast<std::uint8_t>(step), body) + op(O::drop),
      {{3, i64}});
  EXPECT_EQ(run(builder, function, {10}), Values{55});
}

TEST_P(LowerRun, OperandsKeepTheValueThatALocalHad) {
  EXPECT_EQ(
      run({i32}, {i32}, get(0) + c32(5) + tee(0) + get(0) + op(O::i32_mul) + op(O::i32_sub), {100}),
      Values{75});
  // Deeper than the search for them looks.
  Bytes code = get(0);
  for (int i = 0; i < 100; ++i) code = std::move(code) + get(1);
  code = std::move(code) + c32(7) + set(0) + c32(1) + set(1);
  for (int i = 0; i < 100; ++i) code = std::move(code) + op(O::i32_add);
  EXPECT_EQ(run({i32, i32}, {i32}, code, {3, 2}), Values{203});
}

TEST_P(LowerRun, OperandsSurviveBlocksThatWriteTheirLocals) {
  const Bytes code = get(0) + get(1) + if_(empty, c32(50) + set(0)) + get(0) + op(O::i32_add) +
                     get(0) +
                     loop(empty, get(0) + c32(1) + op(O::i32_add) + tee(0) + c32(60) +
                                     op(O::i32_lt_u) + op(O::br_if, 0)) +
                     get(0) + op(O::i32_mul) + op(O::i32_add);
  EXPECT_EQ(run({i32, i32}, {i32}, code, {3, 0}), Values{3 + 3 + 3 * 60});
  EXPECT_EQ(run({i32, i32}, {i32}, code, {3, 1}), Values{3 + 50 + 50 * 60});
}

TEST_P(LowerRun, BranchesCarryValuesPastOthers) {
  const Bytes code =
      block(i32, c32(1000) +
                     block(i32, c32(7) + get(0) + c32(1) + op(O::i32_eq) + op(O::br_if, 1) +
                                    get(0) + c32(2) + op(O::i32_eq) + op(O::br_if, 0) +
                                    op(O::drop) + c32(1) + c32(2) + get(0) + c32(3) +
                                    op(O::i32_eq) + op(O::br_if, 1) + op(O::i32_add)) +
                     op(O::i32_add));
  EXPECT_EQ(run({i32}, {i32}, code, {1}), Values{7});
  EXPECT_EQ(run({i32}, {i32}, code, {2}), Values{1007});
  EXPECT_EQ(run({i32}, {i32}, code, {3}), Values{2});
  EXPECT_EQ(run({i32}, {i32}, code, {4}), Values{1003});
}

TEST_P(LowerRun, BranchTablesCarryValuesToAnyDepth) {
  const Bytes table = op(O::br_table) + leb(4) + leb(0) + leb(1) + leb(2) + leb(1) + leb(0);
  // Inner block, outer block, function; values 5 above 70 and 900.
  const Bytes code = c32(900) +
                     block(i32, c32(70) + block(i32, c32(5) + get(0) + table) + op(O::i32_add)) +
                     op(O::i32_add);
  EXPECT_EQ(run({i32}, {i32}, code, {0}), Values{975});
  EXPECT_EQ(run({i32}, {i32}, code, {1}), Values{905});
  EXPECT_EQ(run({i32}, {i32}, code, {2}), Values{5});
  EXPECT_EQ(run({i32}, {i32}, code, {3}), Values{905});
  EXPECT_EQ(run({i32}, {i32}, code, {0xffff'ffff}), Values{975});
}

TEST_P(LowerRun, ReturnsLeaveFromAnyDepth) {
  const Bytes code =
      c64(1) + c64(2) +
      loop(empty, block(empty, get(0) + op(O::br_if, 0) + c64(3) + get(1) + op(O::return_)) +
                      get(1) + get(1) + get(0) + c32(5) + op(O::i32_eq) + op(O::br_if, 1) +
                      op(O::drop) + op(O::drop) +  //
                      get(0) + c32(1) + op(O::i32_sub) + set(0) + op(O::br, 0));
  EXPECT_EQ(run({i32, i64}, {i64, i64}, code, {5, 9}), (Values{9, 9}));
  EXPECT_EQ(run({i32, i64}, {i64, i64}, code, {4, 9}), (Values{3, 9}));
}

TEST_P(LowerRun, IfArmsTakeParameters) {
  ModuleBuilder builder;
  const std::uint32_t arms = builder.type({i32, i32}, {i32});
  const std::uint32_t same = builder.type({i32}, {i32});
  const std::uint32_t type = builder.type({i32, i32}, {i32});
  const Bytes code = get(0) + c32(3) + get(1) +
                     if_else(static_cast<std::uint8_t>(arms), op(O::i32_add), op(O::i32_sub)) +
                     get(1) + if_(static_cast<std::uint8_t>(same), c32(2) + op(O::i32_mul));
  const std::uint32_t function = builder.function(type, code);
  ModuleBuilder copy = builder;
  EXPECT_EQ(run(builder, function, {10, 1}), Values{26});
  EXPECT_EQ(run(copy, function, {10, 0}), Values{7});
}

TEST_P(LowerRun, NegatedFloatComparisonsHoldForNaN) {
  const Bytes code = block(empty, get(0) + get(1) + op(O::f64_lt) + op(O::i32_eqz) +
                                      op(O::br_if, 0) + c32(1) + op(O::return_)) +
                     get(0) + get(1) + op(O::f64_ge) + op(O::i32_eqz) + c32(2) + op(O::i32_add);
  const auto bits = [](double value) { return std::bit_cast<std::uint64_t>(value); };
  EXPECT_EQ(run({f64, f64}, {i32}, code, {bits(1), bits(2)}), Values{1});
  EXPECT_EQ(run({f64, f64}, {i32}, code, {bits(2), bits(1)}), Values{2});
  EXPECT_EQ(run({f64, f64}, {i32}, code, {bits(std::numeric_limits<double>::quiet_NaN()), bits(1)}),
            Values{3});
}

TEST_P(LowerRun, WrappedValuesAreCutWhereTheyAreUsedWhole) {
  const std::uint64_t wide = 0xabcd'ef01'8000'0004;
  EXPECT_EQ(run({i64}, {i64}, get(0) + op(O::i32_wrap_i64) + op(O::i64_extend_i32_u), {wide}),
            Values{0x8000'0004});
  EXPECT_EQ(run({i64}, {i64}, get(0) + op(O::i32_wrap_i64) + op(O::i64_extend_i32_s), {wide}),
            Values{0xffff'ffff'8000'0004});
  EXPECT_EQ(
      run({i64}, {i32, i32}, get(0) + op(O::i32_wrap_i64) + tee(1) + get(1), {wide}, {{1, i32}}),
      (Values{0x8000'0004, 0x8000'0004}));
  // As an address, an index and a condition.
  const std::uint64_t high = std::uint64_t{1} << 40;
  EXPECT_EQ(run({i64}, {i32},
                get(0) + op(O::i32_wrap_i64) + c32(77) + op(O::i32_store, 2, 0) + c32(8) +
                    op(O::i32_load, 2, 0),
                {high + 8}),
            Values{77});
  const Bytes table = op(O::br_table) + leb(1) + leb(0) + leb(1);
  EXPECT_EQ(run({i64}, {i32},
                block(empty, block(empty, get(0) + op(O::i32_wrap_i64) + table) + c32(1) +
                                 op(O::return_)) +
                    c32(2),
                {high}),
            Values{1});
  EXPECT_EQ(run({i64}, {i32}, get(0) + op(O::i32_wrap_i64) + if_else(i32, c32(1), c32(2)), {high}),
            Values{2});
  EXPECT_EQ(
      run({i64}, {i32}, c32(1) + c32(2) + get(0) + op(O::i32_wrap_i64) + op(O::select), {high}),
      Values{2});
  EXPECT_EQ(run({i64}, {i32},
                block(i32, c32(5) + get(0) + op(O::i32_wrap_i64) + c32(1) + op(O::br_if, 0) +
                               op(O::i32_add)),
                {high + 3}),
            Values{3});
}

TEST_P(LowerRun, SelectWithAConstantConditionChooses) {
  EXPECT_EQ(run({i32, i32}, {i32}, get(0) + get(1) + c32(1) + op(O::select), {4, 5}), Values{4});
  EXPECT_EQ(run({i32, i32}, {i32}, get(0) + get(1) + c32(0) + op(O::select), {4, 5}), Values{5});
  EXPECT_EQ(run({i32, i32}, {i32},
                get(0) + get(1) + op(O::i32_mul) + get(0) + get(1) + op(O::i32_add) + c32(0) +
                    op(O::select),
                {4, 5}),
            Values{9});
}

TEST_P(LowerRun, LoopsKeepTheirConstantsApart) {
  // Two loops after one another, with constants of their own and shared; one is never entered.
  const auto fill = [](std::int32_t value, std::int32_t end, std::uint32_t offset) {
    return loop(empty, get(0) + c32(value) + op(O::i32_store8, 0, offset) + get(0) + c32(1) +
                           op(O::i32_add) + tee(0) + c32(end) + op(O::i32_lt_u) + op(O::br_if, 0));
  };
  const Bytes code = fill(5, 10, 0) + get(1) + if_(empty, c32(0) + set(0) + fill(6, 4, 100)) +
                     c32(2) + set(0) + fill(5, 4, 200) + fill(7, 8, 0) +  //
                     c32(4) + op(O::i32_load8_u, 0, 0) + c32(102) + op(O::i32_load8_u, 0, 0) +
                     c32(202) + op(O::i32_load8_u, 0, 0) + c32(9) + op(O::i32_load8_u, 0, 0);
  EXPECT_EQ(run({i32, i32}, {i32, i32, i32, i32}, code, {0, 0}), (Values{7, 0, 5, 5}));
  EXPECT_EQ(run({i32, i32}, {i32, i32, i32, i32}, code, {0, 1}), (Values{7, 6, 5, 5}));
}

TEST_P(LowerRun, ManyConstantsInALoopAreStillRight) {
  Bytes sum = get(1);
  std::int32_t expected = 0;
  for (std::int32_t i = 0; i < 40; ++i) {
    sum = std::move(sum) + c32(1 << (i % 20)) + get(0) + op(O::i32_shl) + op(O::i32_add) +  //
          c32(i * 1000) + get(0) + op(O::i32_sub) + op(O::i32_add);
    expected += (1 << (i % 20)) * 2 + i * 1000 - 1;
  }
  const Bytes code = loop(empty, std::move(sum) + set(1)) + get(1);
  EXPECT_EQ(run({i32}, {i32}, code, {1}, {{1, i32}}), Values{static_cast<std::uint32_t>(expected)});
}

TEST_P(LowerRun, CallsAndRecursionKeepFramesApart) {
  ModuleBuilder builder;
  const std::uint32_t type = builder.type({i32}, {i32});
  // fib(n) with a local that must be 0 and a constant of a loop that must survive the calls.
  const Bytes code =
      get(0) + c32(2) + op(O::i32_lt_u) + if_(empty, get(0) + op(O::return_)) +
      loop(empty, c32(1) + get(1) + op(O::i32_shl) + get(2) + op(O::i32_add) + set(2) +  //
                      get(0) + c32(1) + op(O::i32_sub) + op(O::call, 0) + get(0) + c32(2) +
                      op(O::i32_sub) + op(O::call, 0) + op(O::i32_add) + set(3) + get(1) + c32(1) +
                      op(O::i32_add) + tee(1) + c32(3) + op(O::i32_lt_u) + op(O::br_if, 0)) +
      get(3) + get(2) + c32(7) + op(O::i32_sub) + op(O::i32_add);
  const std::uint32_t function = builder.function(type, code, {{3, i32}});
  EXPECT_EQ(run(builder, function, {7}), Values{13});
}

TEST_P(LowerRun, TailCallsOfItselfNeedNoStack) {
  ModuleBuilder builder;
  const std::uint32_t type = builder.type({i32, i32, i32}, {i32});
  // f(n, a, b): local = local + a (0 before each call); n == 0 ? b : f(n - 1, b, local + b).
  const Bytes code = get(3) + get(1) + op(O::i32_add) + set(3) + get(0) + op(O::i32_eqz) +
                     if_(empty, get(2) + op(O::return_)) + get(0) + c32(1) + op(O::i32_sub) +
                     get(2) + get(3) + get(2) + op(O::i32_add) + op(O::return_call, 0);
  const std::uint32_t function = builder.function(type, code, {{2, i32}});
  std::uint32_t a = 0;
  std::uint32_t b = 1;
  for (int n = 0; n < 100'000; ++n) {
    const std::uint32_t sum = a + b;
    a = b;
    b = sum;
  }
  EXPECT_EQ(run(builder, function, {100'000, 0, 1}), Values{b});
}

TEST_P(LowerRun, TailCallsReturnWhatTheirFunctionsDo) {
  ModuleBuilder builder;
  const std::uint32_t two = builder.type({i32, i32}, {i32, i64});
  const std::uint32_t one = builder.type({i32}, {i32, i64});
  builder.table(funcref, limits(3));
  const std::uint32_t swapped =
      builder.function(two, get(1) + get(0) + op(O::i64_extend_i32_s) + c64(10) + op(O::i64_mul));
  builder.elements(c32(0), {swapped});
  builder.export_function(
      "direct",
      builder.function(one, get(0) + op(O::i32_eqz) +
                                if_(empty, c32(1) + c32(2) + op(O::return_call, swapped)) +
                                c32(77) + c32(5) + get(0) + op(O::return_call, swapped)));
  builder.export_function(
      "indirect",
      builder.function(one, c32(7) + c32(8) + get(0) + op(O::return_call_indirect, two, 0)));
  Instance instance(GetParam(), builder, true);
  EXPECT_EQ(instance.call("direct", {0}).results, (Values{2, 10}));
  EXPECT_EQ(instance.call("direct", {3}).results, (Values{3, 50}));
  EXPECT_EQ(instance.call("indirect", {0}).results, (Values{8, 70}));
  EXPECT_EQ(instance.call("indirect", {1}).trap, TrapKind::uninitialized_element);
  EXPECT_EQ(instance.call("indirect", {9}).trap, TrapKind::undefined_element);
}

TEST_P(LowerRun, IndirectCallsFindTheirFunctions) {
  ModuleBuilder builder;
  const std::uint32_t binary = builder.type({i32, i32}, {i32});
  const std::uint32_t other = builder.type({i32}, {i32});
  builder.table(funcref, limits(4));
  const std::uint32_t add = builder.function(binary, get(0) + get(1) + op(O::i32_add));
  const std::uint32_t sub = builder.function(binary, get(0) + get(1) + op(O::i32_sub));
  const std::uint32_t unary = builder.function(other, get(0));
  builder.elements(c32(0), {add, sub, unary});
  builder.export_function(
      "run", builder.function(other, c32(30) + c32(12) + get(0) + op(O::call_indirect, binary, 0)));
  Instance instance(GetParam(), builder, true);
  EXPECT_EQ(instance.call("run", {0}).results, Values{42});
  EXPECT_EQ(instance.call("run", {1}).results, Values{18});
  EXPECT_EQ(instance.call("run", {2}).trap, TrapKind::indirect_call_mismatch);
  EXPECT_EQ(instance.call("run", {3}).trap, TrapKind::uninitialized_element);
  EXPECT_EQ(instance.call("run", {4}).trap, TrapKind::undefined_element);
}

TEST_P(LowerRun, TrapsComeInOrder) {
  const Bytes divide = get(0) + c32(0) + op(O::i32_div_u) + set(0);
  EXPECT_EQ(trap({i32}, {}, divide + op(O::unreachable), {1}), TrapKind::integer_divide_by_zero);
  EXPECT_EQ(trap({i32}, {}, op(O::unreachable) + divide, {1}), TrapKind::unreachable);
  EXPECT_EQ(trap({i32}, {}, get(0) + op(O::i32_load, 2, 0xffff'ffff) + op(O::drop), {0xffff'ffff}),
            TrapKind::memory_out_of_bounds);
  EXPECT_EQ(trap({i32}, {}, c32(1) + c32(0) + op(O::i32_div_s) + op(O::drop), {1}),
            TrapKind::integer_divide_by_zero);
  EXPECT_EQ(trap({i32}, {}, get(0) + op(O::table_get, 0) + op(O::drop), {4}),
            TrapKind::table_out_of_bounds);
  EXPECT_EQ(trap({f64}, {}, get(0) + op(O::i32_trunc_f64_s) + op(O::drop),
                 {std::bit_cast<std::uint64_t>(1e300)}),
            TrapKind::integer_overflow);
}

TEST_P(LowerRun, BulkMemoryMovesWholeRanges) {
  ModuleBuilder builder;
  builder.memory(limits(1));
  builder.passive_data("0123456789");
  const std::uint32_t type = builder.type({i32, i32, i32}, {});
  builder.export_function("fill",
                          builder.function(type, get(0) + get(1) + get(2) + op(M::memory_fill, 0)));
  builder.export_function(
      "copy", builder.function(type, get(0) + get(1) + get(2) + op(M::memory_copy, 0, 0)));
  builder.export_function(
      "init", builder.function(type, get(0) + get(1) + get(2) + op(M::memory_init, 0, 0)));
  builder.export_function("drop", builder.function(builder.type({}, {}), op(M::data_drop, 0)));
  Instance instance(GetParam(), builder, true);
  EXPECT_EQ(instance.call("init", {4090, 2, 8}).exit, Exit::returned);
  EXPECT_EQ(instance.call("fill", {4098, 0xab, 5000}).exit, Exit::returned);
  EXPECT_EQ(instance.call("copy", {4093, 4090, 5000}).exit, Exit::returned);  // backwards
  std::vector<std::uint8_t> memory = instance.subject().memory(0);
  EXPECT_EQ(std::string(memory.begin() + 4090, memory.begin() + 4101), "23423456789");
  EXPECT_EQ(memory[4101], 0xab);
  EXPECT_EQ(memory[9097], 0xab);
  EXPECT_EQ(memory[9098], 0);
  EXPECT_EQ(instance.call("copy", {4090, 4093, 5000}).exit, Exit::returned);
  memory = instance.subject().memory(0);
  EXPECT_EQ(std::string(memory.begin() + 4090, memory.begin() + 4098), "23456789");
  // Out of range: nothing is written.
  EXPECT_EQ(instance.call("fill", {65530, 1, 7}).trap, TrapKind::memory_out_of_bounds);
  EXPECT_EQ(instance.subject().memory(0)[65530], 0);
  EXPECT_EQ(instance.call("fill", {65537, 1, 0}).trap, TrapKind::memory_out_of_bounds);
  EXPECT_EQ(instance.call("fill", {65536, 1, 0}).exit, Exit::returned);
  EXPECT_EQ(instance.call("init", {0, 3, 8}).trap, TrapKind::memory_out_of_bounds);
  EXPECT_EQ(instance.call("drop").exit, Exit::returned);
  EXPECT_EQ(instance.call("init", {0, 0, 1}).trap, TrapKind::memory_out_of_bounds);
  EXPECT_EQ(instance.call("init", {0, 0, 0}).exit, Exit::returned);
}

TEST_P(LowerRun, TablesGrowFillCopyAndTellNull) {
  ModuleBuilder builder;
  builder.table(externref, limits(2, 600));
  const std::uint32_t three = builder.type({i32, externref, i32}, {});
  const std::uint32_t indices = builder.type({i32, i32, i32}, {});
  builder.export_function("grow", builder.function(builder.type({externref, i32}, {i32}),
                                                   get(0) + get(1) + op(M::table_grow, 0)));
  builder.export_function("fill",
                          builder.function(three, get(0) + get(1) + get(2) + op(M::table_fill, 0)));
  builder.export_function(
      "copy", builder.function(indices, get(0) + get(1) + get(2) + op(M::table_copy, 0, 0)));
  builder.export_function("is_null",
                          builder.function(builder.type({i32}, {i32}),
                                           get(0) + op(O::table_get, 0) + op(O::ref_is_null)));
  builder.export_function("set", builder.function(builder.type({i32, externref}, {}),
                                                  get(0) + get(1) + op(O::table_set, 0)));
  builder.export_function("size", builder.function(builder.type({}, {i32}), op(M::table_size, 0)));
  Instance instance(GetParam(), builder, true);
  EXPECT_EQ(instance.call("grow", {8, 500}).results, Values{2});
  EXPECT_EQ(instance.call("grow", {9, 99}).results, Values{0xffff'ffff});
  EXPECT_EQ(instance.call("size").results, Values{502});
  EXPECT_EQ(instance.call("is_null", {1}).results, Values{1});
  EXPECT_EQ(instance.call("is_null", {501}).results, Values{0});
  EXPECT_EQ(instance.call("set", {1, 5}).exit, Exit::returned);
  EXPECT_EQ(instance.call("fill", {100, 0, 300}).exit, Exit::returned);
  EXPECT_EQ(instance.call("copy", {2, 1, 400}).exit, Exit::returned);
  const std::vector<std::uint64_t> table = instance.subject().table(0);
  EXPECT_EQ(table[2], 5u);
  EXPECT_EQ(table[100], 8u);
  EXPECT_EQ(table[101], 0u);
  EXPECT_EQ(table[400], 0u);
  EXPECT_EQ(table[401], 8u);
  EXPECT_EQ(instance.call("fill", {500, 0, 3}).trap, TrapKind::table_out_of_bounds);
  EXPECT_EQ(instance.subject().table(0)[501], 8u);
}

TEST_P(LowerRun, ReferencesToFunctionsAreWhatTablesHold) {
  ModuleBuilder builder;
  builder.table(funcref, limits(2));
  const std::uint32_t type = builder.type({}, {i32});
  builder.function(type, c32(1));
  const std::uint32_t seven = builder.function(type, c32(7));
  builder.declare({seven});
  builder.global(funcref, true, op(O::ref_func, seven));
  const std::uint32_t function = builder.function(
      type, c32(1) + op(O::ref_func, seven) + op(O::table_set, 0) + c32(0) + op(O::global_get, 0) +
                op(O::table_set, 0) + c32(1) + op(O::call_indirect, type, 0) + c32(0) +
                op(O::call_indirect, type, 0) + op(O::i32_add));
  EXPECT_EQ(run(builder, function, {}), Values{14});
}

TEST_P(LowerRun, HostFunctionsTakeAndGiveValues) {
  ModuleBuilder builder;
  builder.import_function("env", "mix", builder.type({i32, i64}, {i64}));
  builder.export_function(
      "run", builder.function(builder.type({i64}, {i64}),
                              c32(3) + get(0) + op(O::call, 0) + get(0) + op(O::i64_add)));
  Instance instance(GetParam(), builder, true, [](HostView& view) {
    view.values[0] = view.values[0] * 1000 + view.values[1];
    return Exit::ready;
  });
  EXPECT_EQ(instance.call("run", {5}).results, Values{3010});
}

TEST_P(LowerRun, InitWritesElementsThenDataUntilOneDoesNotFit) {
  ModuleBuilder builder;
  const std::uint32_t type = builder.type({}, {});
  builder.memory(limits(1));
  builder.table(funcref, limits(2));
  const std::uint32_t function = builder.function(type, {});
  builder.global(i32, true, c32(6) + c32(7) + op(O::i32_mul));
  builder.elements(c32(1), {function});
  builder.data(c32(10), "one");
  builder.data(c32(65'534), "two");
  builder.data(c32(20), "three");
  Instance instance(GetParam(), builder, true);
  EXPECT_EQ(instance.init().exit, Exit::trapped);
  EXPECT_EQ(instance.init().trap, TrapKind::memory_out_of_bounds);
  EXPECT_EQ(instance.subject().table(0), (Values{0, function + 1}));
  const std::vector<std::uint8_t> memory = instance.subject().memory(0);
  EXPECT_EQ(memory[10], 'o');
  EXPECT_EQ(memory[65'534], 0);
  EXPECT_EQ(memory[20], 0);
  EXPECT_EQ(instance.subject().globals(), Values{42});
}

TEST_P(LowerRun, SegmentsLongerThanAChunkAreWrittenWhole) {
  ModuleBuilder builder;
  builder.memory(limits(1));
  std::string text;
  for (int i = 0; i < 5'000; ++i) text.push_back(static_cast<char>('a' + i % 26));
  builder.data(c32(1), text);
  Instance instance(GetParam(), builder, true);
  EXPECT_EQ(instance.init().exit, Exit::returned);
  EXPECT_EQ(instance.init().fuel_used, 0u);
  const std::vector<std::uint8_t> memory = instance.subject().memory(0);
  EXPECT_EQ(std::string(memory.begin() + 1, memory.begin() + 5'001), text);
}

// What wasmtime charges: 1 for the entry and for each operator, but for those that are free.
TEST_P(LowerRun, FuelIsOnePerOperator) {
  std::uint64_t fuel = 0;
  const auto cost = [&](const Bytes& params, const Bytes& code, const Values& args) {
    ModuleBuilder builder;
    const std::uint32_t type = builder.type({}, {i32});
    builder.function(type, c32(1) + op(O::return_));  // 2 with its entry
    run(builder, builder.function(builder.type(params, {}), code, {{1, i32}}), args, &fuel);
    return fuel;
  };
  EXPECT_EQ(cost({}, {}, {}), 1u);
  EXPECT_EQ(cost({}, op(O::nop) + block(empty, loop(empty, {})), {}), 1u);
  EXPECT_EQ(cost({}, c32(1) + op(O::drop), {}), 2u);
  EXPECT_EQ(cost({}, block(empty, op(O::br, 0) + c32(1) + op(O::drop)), {}), 2u);
  EXPECT_EQ(cost({}, op(O::call, 0) + op(O::drop), {}), 4u);
  EXPECT_EQ(cost({}, op(O::call, 0) + set(0) + op(O::call, 0) + set(0), {}), 9u);
  const Bytes arms =
      get(0) + if_else(empty, c32(1) + set(1), c32(1) + c32(2) + op(O::i32_add) + set(1));
  EXPECT_EQ(cost({i32}, arms, {1}), 5u);
  EXPECT_EQ(cost({i32}, arms, {0}), 7u);
  const Bytes count = loop(empty, get(0) + c32(1) + op(O::i32_sub) + tee(0) + op(O::br_if, 0));
  EXPECT_EQ(cost({i32}, count, {10}), 51u);
  const Bytes leave = block(empty, get(0) + op(O::br_if, 0) + c32(1) + set(1)) + c32(1) + set(1);
  EXPECT_EQ(cost({i32}, leave, {1}), 5u);
  EXPECT_EQ(cost({i32}, leave, {0}), 7u);
}

TEST_P(LowerRun, FuelRunsOutBetweenBlocksAndRunsGoOn) {
  ModuleBuilder builder;
  const Bytes code = loop(empty, get(0) + c32(1) + op(O::i32_sub) + tee(0) + get(1) + c32(3) +
                                     op(O::i32_add) + set(1) + op(O::br_if, 0)) +
                     get(1);
  builder.export_function("run", builder.function(builder.type({i32}, {i32}), code, {{1, i32}}));
  Instance whole(GetParam(), builder, true);
  const Outcome expected = whole.call("run", {50});
  Instance sliced(GetParam(), builder, true);
  sliced.subject().set_fuel(13);
  Outcome outcome = sliced.call("run", {50});
  int stops = 0;
  for (; outcome.exit == Exit::out_of_fuel && stops < 1'000; ++stops) {
    sliced.subject().set_fuel(13);
    outcome = sliced.subject().resume();
  }
  EXPECT_GT(stops, 40);
  EXPECT_EQ(outcome.results, expected.results);
  EXPECT_EQ(outcome.fuel_used, expected.fuel_used);
}

INSTANTIATE_TEST_SUITE_P(Executors, LowerRun,
                         ::testing::Values(Executor::ref, Executor::threaded, Executor::loop),
                         [](const auto& executor) { return exec::testing::name(executor.param); });

}  // namespace
}  // namespace warphive::wasm
