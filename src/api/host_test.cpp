// SPDX-License-Identifier: Apache-2.0
// Host functions of the embedder.
#include <atomic>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "api/testing.hpp"

namespace warphive::testing {
namespace {

const FunctionType one_to_one{{ValueType::i32}, {ValueType::i32}};
const FunctionType two_to_none{{ValueType::i32, ValueType::i32}, {}};

class Host : public ::testing::Test {
 protected:
  void SetUp() override {
    twice = [](std::span<HostCall* const> calls) {
      for (HostCall* call : calls) call->set_result(0, Value::i32(2 * call->arg(0).as_i32()));
    };
    poke = [](std::span<HostCall* const> calls) {
      for (HostCall* call : calls) {
        const std::int32_t word = call->arg(1).as_i32();
        if (!call->write_memory(static_cast<std::uint32_t>(call->arg(0).as_i32()),
                                std::as_bytes(std::span(&word, 1)))) {
          call->trap();
        }
      }
    };
  }
  /// Defines both functions, links and spawns.
  std::vector<InstanceId> start(std::uint64_t count) {
    EXPECT_TRUE(engine.define("test", "twice", one_to_one, twice).has_value());
    EXPECT_TRUE(engine.define("test", "poke", two_to_none, poke).has_value());
    program = std::make_unique<Program>(program_of(engine, modules::hosted_wasm));
    swarm = std::make_unique<Swarm>(must(engine.create_swarm()));
    return must(swarm->spawn(*program, count));
  }
  Results call(std::span<const InstanceId> ids, std::string_view name, std::vector<Value> args) {
    return must(swarm->dispatch(ids, must(program->find_function(name)), args));
  }

  Engine engine = make_engine(4);
  HostFunction twice;
  HostFunction poke;
  std::unique_ptr<Program> program;
  std::unique_ptr<Swarm> swarm;
};

TEST_F(Host, functions_receive_arrays_and_return_values) {
  std::atomic<int> empty{0};
  std::atomic<std::uint64_t> ordinals{0};
  twice = [&](std::span<HostCall* const> calls) {
    if (calls.empty()) ++empty;
    for (HostCall* call : calls) {
      ordinals += call->ordinal();
      EXPECT_EQ(call->memory_size(), 65536u);
      call->set_result(0, Value::i32(2 * call->arg(0).as_i32()));
    }
  };
  const auto ids = start(200);
  std::vector<Value> args;
  args.reserve(200);
  for (std::int32_t i = 0; i < 200; ++i) args.push_back(Value::i32(i));
  const Results results = call(ids, "call", args);
  for (std::int32_t i = 0; i < 200; ++i) {
    ASSERT_EQ(results[static_cast<std::size_t>(i)].values[0], Value::i32(2 * i + 1));
  }
  EXPECT_EQ(empty, 0);
  EXPECT_EQ(ordinals, 199u * 200 / 2);
}

TEST_F(Host, functions_reach_memory_and_only_that) {
  const auto ids = start(3);
  const Results results = call(ids, "poke",
                               {Value::i32(0), Value::i32(77), Value::i32(65532), Value::i32(5),
                                Value::i32(65533), Value::i32(6)});
  EXPECT_EQ(results[0].values[0], Value::i32(77));
  EXPECT_EQ(results[1].exit, Exit::returned);
  EXPECT_EQ(results[2].exit, Exit::trapped);
  EXPECT_EQ(results[2].trap, TrapKind::host);
  std::vector<std::byte> last(3 * 4);
  ASSERT_TRUE(swarm->read_memory(ids, 65532, 4, last).has_value());
  EXPECT_EQ(last[4], std::byte{5});
  EXPECT_EQ(last[8], std::byte{0}) << "a write that does not fit moves nothing";
}

TEST_F(Host, an_exception_is_a_trap_of_the_caller) {
  twice = [](std::span<HostCall* const> calls) {
    if (calls[0]->arg(0).as_i32() % 2 == 1) throw std::runtime_error("odd");
    calls[0]->set_result(0, Value::i32(0));
  };
  const auto ids = start(100);
  std::vector<Value> args;
  args.reserve(100);
  for (std::int32_t i = 0; i < 100; ++i) args.push_back(Value::i32(i));
  const Results results = call(ids, "call", args);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(results[i].exit, i % 2 == 1 ? Exit::trapped : Exit::returned);
    EXPECT_EQ(results[i].trap, i % 2 == 1 ? TrapKind::host : TrapKind::none);
  }
  EXPECT_TRUE(results.trap_site(1).has_value());
}

TEST_F(Host, misuse_of_a_call_traps_it) {
  twice = [](std::span<HostCall* const> calls) {
    HostCall& call = *calls[0];
    switch (call.arg(0).as_i32()) {
      case 0:
        call.set_result(0, Value::i64(1));
        break;  // type
      case 1:
        call.set_result(1, Value::i32(1));
        break;  // index
      case 2:
        static_cast<void>(call.arg(1));
        break;
      case 3:
        throw 5;
      default:
        break;  // no result set: zero
    }
  };
  const auto ids = start(5);
  const Results results = call(
      ids, "call", {Value::i32(0), Value::i32(1), Value::i32(2), Value::i32(3), Value::i32(4)});
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(results[i].trap, TrapKind::host) << i;
  EXPECT_EQ(results[4].values[0], Value::i32(1));
}

TEST_F(Host, a_function_can_end_its_instance) {
  twice = [](std::span<HostCall* const> calls) { calls[0]->exit(calls[0]->arg(0).as_i32()); };
  const auto ids = start(2);
  const Results results = call(ids, "call", {Value::i32(0), Value::i32(-7)});
  EXPECT_EQ(results[0].exit, Exit::exited);
  EXPECT_EQ(results[1].exit_code, -7);
  EXPECT_TRUE(results[1].values.empty());
  const auto again = swarm->dispatch(ids, must(program->find_function("call")), {{Value::i32(1)}});
  EXPECT_TRUE(fails_with(again, ErrorCode::busy) && contains(message_of(again), "exited"));
}

TEST_F(Host, c003_05_and_c003_15_output_is_per_instance_cut_and_marked) {
  twice = [](std::span<HostCall* const> calls) {
    HostCall& call = *calls[0];
    call.write_stdout("agent " + std::to_string(call.ordinal()) + "\n");
    call.write_stdout(std::string(static_cast<std::size_t>(call.arg(0).as_i32()), 'x'));
    call.set_result(0, Value::i32(0));
  };
  const auto ids = start(3);
  const Results results = call(ids, "call", {Value::i32(0), Value::i32(3), Value::i32(5000)});
  EXPECT_EQ(results[0].out, "agent 0\n");
  EXPECT_EQ(results[1].out, "agent 1\nxxx");
  EXPECT_FALSE(results[1].truncated);
  EXPECT_EQ(results[2].out.size(), 4096u);
  EXPECT_TRUE(results[2].truncated);
  EXPECT_EQ(results[2].err, "");
  const auto small = must(swarm->spawn(*program, 1, {.output_bytes = 5}));
  EXPECT_EQ(call(small, "call", {Value::i32(0)})[0].out, "agent");
  // Output is kept since spawn or reset.
  EXPECT_EQ(call(std::span(ids).first(1), "call", {Value::i32(0)})[0].out, "agent 0\nagent 0\n");
  ASSERT_TRUE(swarm->reset(ids).has_value());
  EXPECT_EQ(call(std::span(ids).first(1), "call", {Value::i32(0)})[0].out, "agent 0\n");
}

TEST_F(Host, using_the_callers_swarm_is_refused_as_busy_and_does_not_hang) {
  std::atomic<int> refused{0};
  std::vector<InstanceId> ids;
  twice = [&](std::span<HostCall* const> calls) {
    const auto busy = [&](const auto& result) { refused += fails_with(result, ErrorCode::busy); };
    std::vector<Value> values(1);
    std::vector<std::byte> bytes(4);
    const std::span<const InstanceId> one(ids.data(), 1);
    busy(swarm->dispatch(one, Function{}));
    busy(swarm->resume(one));
    busy(swarm->reset(one));
    busy(swarm->kill(one));
    busy(swarm->spawn(*program, 1));
    busy(swarm->read_memory(one, 0, 4, bytes));
    busy(swarm->write_memory(one, 0, 4, bytes));
    busy(swarm->memory_sizes(one));
    busy(swarm->memory_hashes(one));
    busy(swarm->read_global(one, "g", values));
    busy(swarm->write_global(one, "g", values));
    busy(swarm->state(one[0]));
    busy(swarm->ordinal(one[0]));
    calls[0]->set_result(0, Value::i32(0));
  };
  ids = start(8);
  EXPECT_EQ(call(ids, "call", {Value::i32(1)}).count(Exit::returned), 8u);
  EXPECT_EQ(refused, 8 * 13);
}

TEST_F(Host, using_another_swarm_works_also_from_a_thread_of_the_functions_own) {
  const Program basic = program_of(engine, modules::basic_wasm);
  twice = [&](std::span<HostCall* const> calls) {
    std::int32_t answer = 0;
    const auto ask = [&] {
      Swarm other = must(engine.create_swarm());
      const auto ids = must(other.spawn(basic, 5));
      const Results results = must(other.dispatch(ids, must(basic.find_function("sum")),
                                                  {{Value::i32(calls[0]->arg(0).as_i32())}}));
      answer = results[4].values[0].as_i32();
    };
    if (calls[0]->arg(0).as_i32() % 2 == 0) {
      ask();
    } else {
      std::thread(ask).join();
    }
    calls[0]->set_result(0, Value::i32(answer));
  };
  const auto ids = start(20);
  std::vector<Value> args;
  for (std::int32_t i = 1; i <= 20; ++i) args.push_back(Value::i32(i));
  const Results results = call(ids, "call", args);
  for (std::int32_t i = 1; i <= 20; ++i) {
    EXPECT_EQ(results[static_cast<std::size_t>(i - 1)].values[0], Value::i32(i * (i + 1) / 2 + 1));
  }
}

TEST_F(Host, cancel_works_while_host_functions_are_called) {
  const auto ids = start(50);
  std::thread canceller([&] {
    while (swarm->progress().instances_total == 0) std::this_thread::yield();
    swarm->cancel();
  });
  const Results results = call(ids, "calls", {Value::i32(100'000'000)});
  canceller.join();
  EXPECT_EQ(results.count(Exit::cancelled), 50u);
}

TEST_F(Host, definitions_are_checked) {
  EXPECT_TRUE(engine.define("test", "twice", one_to_one, twice).has_value());
  const auto again = engine.define("test", "twice", one_to_one, twice);
  ASSERT_TRUE(fails_with(again, ErrorCode::invalid_input));
  EXPECT_TRUE(contains(message_of(again), "test.twice"));
  EXPECT_TRUE(fails_with(engine.define("a", "b", one_to_one, {}), ErrorCode::invalid_input));
  EXPECT_TRUE(fails_with(engine.define("wasi_snapshot_preview1", "fd_write", one_to_one, twice),
                         ErrorCode::invalid_input));
}

TEST_F(Host, link_errors_list_name_and_both_signatures) {
  const Module module = module_of(modules::hosted_wasm);
  const auto unknown = engine.link(module);
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().phase(), ErrorPhase::link);
  EXPECT_TRUE(contains(message_of(unknown), "twice")) << message_of(unknown);
  EXPECT_TRUE(
      engine.define("test", "twice", {{ValueType::i64}, {ValueType::i32}}, twice).has_value());
  EXPECT_TRUE(engine.define("test", "poke", two_to_none, poke).has_value());
  const auto differs = engine.link(module);
  ASSERT_FALSE(differs.has_value());
  EXPECT_TRUE(contains(message_of(differs), "(i64) -> (i32)") &&
              contains(message_of(differs), "(i32) -> (i32)"))
      << message_of(differs);
}

TEST_F(Host, a_swarm_made_before_a_definition_has_it_too) {
  Swarm early = must(engine.create_swarm());
  start(1);
  EXPECT_TRUE(early.spawn(*program, 1).has_value());
}

}  // namespace
}  // namespace warphive::testing
