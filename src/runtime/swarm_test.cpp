// SPDX-License-Identifier: Apache-2.0
// The runtime on raw slot values: what is below the public interface's types.
#include "runtime/swarm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <thread>

#include "guest/wasm/lower.hpp"
#include "guest/wasm/reader.hpp"
#include "hal/cpu/device.hpp"
#include "ir/link.hpp"
#include "runtime/testing/modules.hpp"

namespace warphive::runtime {
namespace {

using testing::bytes_of;

ir::FunctionType host_type(std::size_t params, std::size_t results) {
  return {std::vector<ir::ValueType>(params, ir::ValueType::i32),
          std::vector<ir::ValueType>(results, ir::ValueType::i32)};
}

std::shared_ptr<const Program> program_of(std::string_view text) {
  const auto bytes = bytes_of(text);
  auto guest = wasm::read_module({bytes.begin(), bytes.end()});
  EXPECT_TRUE(guest.has_value()) << guest.error().describe();
  auto lowered = wasm::lower(*guest);
  EXPECT_TRUE(lowered.has_value()) << lowered.error().describe();
  const ir::LinkInput input{&*lowered, ""};
  auto linked = ir::link({&input, 1}, {.host_function = [](auto, std::string_view field) {
                           return field == "twice" ? std::optional(host_type(1, 1))
                                                   : std::optional(host_type(2, 0));
                         }});
  EXPECT_TRUE(linked.has_value()) << linked.error().describe();
  auto program = make_program(std::move(*linked));
  EXPECT_TRUE(program.has_value()) << program.error().describe();
  return *program;
}

std::uint32_t function(const Program& program, std::string_view name) {
  const ir::Export* item = ir::find_export(program.module, name, ir::EntityKind::function);
  EXPECT_NE(item, nullptr) << name;
  return item == nullptr ? 0 : item->index;
}

class RuntimeSwarm : public ::testing::Test {
 protected:
  void SetUp() override { open({}); }
  void open(const HostServices& services, std::uint32_t threads = 2, std::uint64_t reserve = 0) {
    swarm_.reset();
    auto device = hal::cpu::create_device({.threads = threads, .reserve_bytes = reserve});
    ASSERT_TRUE(device.has_value());
    auto swarm = Swarm::create(*device, services);
    ASSERT_TRUE(swarm.has_value());
    swarm_ = std::move(*swarm);
  }
  std::vector<InstanceId> spawn(const std::shared_ptr<const Program>& program, std::uint64_t count,
                                const Capacities& capacities = {},
                                Instantiate how = Instantiate::image) {
    auto ids = swarm_->spawn(program, count, capacities, how);
    EXPECT_TRUE(ids.has_value()) << ids.error().describe();
    return ids ? *ids : std::vector<InstanceId>();
  }
  Result<Results> call(const std::vector<InstanceId>& ids, std::uint32_t function,
                       std::vector<std::uint64_t> args = {},
                       std::uint64_t fuel = abi::unlimited_fuel, AnyState any = AnyState::no) {
    std::vector<SlotCall> calls;
    calls.reserve(ids.size());
    for (const InstanceId id : ids) calls.push_back({id, function, 0});
    return swarm_->dispatch({.calls = calls, .args = args, .fuel = fuel, .any_state = any});
  }

  std::unique_ptr<Swarm> swarm_;
};

TEST_F(RuntimeSwarm, calls_and_returns_slot_values) {
  const auto program = program_of(testing::basic_wasm);
  const auto ids = spawn(program, 3);
  const auto results = call(ids, function(*program, "mix"), {41, 0x3f800000, 0x4000000000000000});
  ASSERT_TRUE(results.has_value()) << results.error().describe();
  ASSERT_EQ(results->size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(results->outcome(i).exit, abi::Exit::returned);
    ASSERT_EQ(results->values(i).size(), 3u);
    EXPECT_EQ(results->values(i)[0], 0x4008000000000000u);
    EXPECT_EQ(results->values(i)[1], 40u);
    EXPECT_EQ(results->values(i)[2], 0xbf800000u);
  }
  EXPECT_EQ(results->count(abi::Exit::returned), 3u);
}

TEST_F(RuntimeSwarm, raw_instances_run_init_and_start_as_calls) {
  const auto program = program_of(testing::started_wasm);
  const auto id = spawn(program, 1, {}, Instantiate::raw);
  const ir::Member& member = program->module.members[0];
  ASSERT_NE(member.start, ir::none);
  const auto entry = function(*program, "entry");
  // Nothing is pending: the entry runs without the start function.
  auto results = call(id, entry, {5});
  ASSERT_TRUE(results.has_value());
  EXPECT_EQ(results->values(0)[0], 5u);
  if (member.init != ir::none) {
    ASSERT_TRUE(call(id, member.init).has_value());
  }
  ASSERT_TRUE(call(id, member.start).has_value());
  results = call(id, entry, {7});
  ASSERT_TRUE(results.has_value());
  EXPECT_EQ(results->values(0)[0] % 100, 17u);
}

TEST_F(RuntimeSwarm, raw_instances_have_empty_memories_and_can_be_inspected) {
  const auto program = program_of(testing::broken_wasm);
  const auto id = spawn(program, 1, {}, Instantiate::raw);
  const auto before = swarm_->memory_bytes(id[0]);
  ASSERT_TRUE(before.has_value());
  ASSERT_EQ(before->size(), 65536u);
  EXPECT_TRUE(
      std::all_of(before->begin(), before->end(), [](auto b) { return b == std::byte{0}; }));
  const auto init = call(id, program->module.members[0].init);
  ASSERT_TRUE(init.has_value());
  EXPECT_EQ(init->outcome(0).exit, abi::Exit::trapped);
  EXPECT_EQ(init->outcome(0).trap, abi::TrapKind::memory_out_of_bounds);
  // What was written before the trap stays, and functions can still be called.
  const auto peek = call(id, function(*program, "peek"), {}, abi::unlimited_fuel, AnyState::yes);
  ASSERT_TRUE(peek.has_value()) << peek.error().describe();
  EXPECT_EQ(peek->values(0)[0], 0x74726170u);  // "part"
  ASSERT_TRUE(call(id, program->module.members[0].init).has_value());
  EXPECT_FALSE(call(id, function(*program, "peek")).has_value()) << "it is trapped again";
}

TEST_F(RuntimeSwarm, a_trapped_instantiation_is_reported_once_and_then_refused) {
  const auto program = program_of(testing::broken_wasm);
  const auto ids = spawn(program, 2);
  EXPECT_EQ(swarm_->state(ids[0]).value_or(abi::Exit::ready), abi::Exit::trapped);
  const auto results = call(ids, function(*program, "peek"));
  ASSERT_TRUE(results.has_value());
  EXPECT_EQ(results->count(abi::Exit::trapped), 2u);
  EXPECT_EQ(results->outcome(1).trap, abi::TrapKind::memory_out_of_bounds);
  EXPECT_TRUE(results->location(1).has_value());
  const auto again = call(ids, function(*program, "peek"));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), ErrorCode::busy);
  ASSERT_TRUE(swarm_->reset(ids).has_value());
  EXPECT_TRUE(call(ids, function(*program, "peek")).has_value());
}

TEST_F(RuntimeSwarm, any_state_drops_stopped_frames) {
  const auto program = program_of(testing::basic_wasm);
  const auto ids = spawn(program, 1);
  const auto stopped = call(ids, function(*program, "forever"), {}, 100);
  ASSERT_TRUE(stopped.has_value());
  EXPECT_EQ(stopped->outcome(0).exit, abi::Exit::out_of_fuel);
  EXPECT_FALSE(call(ids, function(*program, "add"), {1, 2}).has_value());
  const auto added = call(ids, function(*program, "add"), {1, 2}, 100, AnyState::yes);
  ASSERT_TRUE(added.has_value());
  EXPECT_EQ(added->values(0)[0], 3u);
  EXPECT_FALSE(swarm_->resume(ids).has_value()) << "nothing is left to resume";
}

TEST_F(RuntimeSwarm, bad_functions_and_argument_ranges_are_refused) {
  const auto program = program_of(testing::basic_wasm);
  const auto ids = spawn(program, 1);
  EXPECT_FALSE(call(ids, 100'000).has_value());
  EXPECT_FALSE(call(ids, function(*program, "add"), {1}).has_value());
  const std::uint64_t args[2] = {1, 2};
  const SlotCall late{ids[0], function(*program, "add"), std::numeric_limits<std::uint32_t>::max()};
  EXPECT_FALSE(swarm_->dispatch({.calls = {&late, 1}, .args = args}).has_value());
  const auto empty = swarm_->dispatch({});
  ASSERT_TRUE(empty.has_value());
  EXPECT_EQ(empty->size(), 0u);
}

TEST_F(RuntimeSwarm, parked_calls_are_served_as_an_array) {
  // The first answer is "later"; then one array must hold every waiting call.
  sys::HostRegistry registry;
  std::atomic<int> asked{0};
  std::atomic<std::size_t> largest{0};
  ASSERT_TRUE(registry
                  .add({"test", "twice", host_type(1, 1),
                        [&](std::span<sys::HostCall> calls) {
                          largest = std::max(largest.load(), calls.size());
                          for (sys::HostCall& call : calls) {
                            if (calls.size() == 1 || asked++ < 3) {
                              call.verdict = abi::Exit::parked;
                            } else {
                              call.values[0] *= 2;
                            }
                          }
                        }})
                  .has_value());
  ASSERT_TRUE(
      registry
          .add({"test", "poke", host_type(2, 0),
                [](std::span<sys::HostCall> calls) {
                  for (sys::HostCall& call : calls) {
                    const auto word = static_cast<std::uint32_t>(call.values[1]);
                    if (calls.size() == 1) {
                      call.verdict = abi::Exit::parked;
                    } else if (!call.memory->write(static_cast<std::uint32_t>(call.values[0]),
                                                   std::as_bytes(std::span(&word, 1)))) {
                      call.verdict = abi::Exit::trapped;
                    } else if (word == 9) {
                      call.verdict = abi::Exit::exited;
                      call.header->exit_code = 33;
                    }
                  }
                }})
          .has_value());
  open({.registry = &registry});
  const auto program = program_of(testing::hosted_wasm);
  const auto ids = spawn(program, 50);
  std::vector<SlotCall> calls;
  std::vector<std::uint64_t> args;
  for (std::uint32_t i = 0; i < 50; ++i) {
    calls.push_back({ids[i], function(*program, "call"), i});
    args.push_back(i);
  }
  const auto results = swarm_->dispatch({.calls = calls, .args = args});
  ASSERT_TRUE(results.has_value());
  for (std::size_t i = 0; i < 50; ++i) {
    ASSERT_EQ(results->outcome(i).exit, abi::Exit::returned);
    EXPECT_EQ(results->values(i)[0], 2 * i + 1);
  }
  EXPECT_GE(largest.load(), 40u);

  calls.clear();
  args.clear();
  for (std::uint32_t i = 0; i < 50; ++i) {
    calls.push_back({ids[i], function(*program, "poke"), 2 * i});
    args.push_back(i == 7 ? 65535 : 0);
    args.push_back(i);
  }
  const auto poked = swarm_->dispatch({.calls = calls, .args = args});
  ASSERT_TRUE(poked.has_value());
  for (std::size_t i = 0; i < 50; ++i) {
    if (i == 7) {
      EXPECT_EQ(poked->outcome(i).exit, abi::Exit::trapped);
      EXPECT_EQ(poked->outcome(i).trap, abi::TrapKind::host);
      const auto where = poked->location(i);
      if (!where) FAIL() << "no location";
      EXPECT_EQ(program->module.functions[where->function].code[where->inst].op, ir::Op::host_call);
    } else if (i == 9) {
      EXPECT_EQ(poked->outcome(i).exit, abi::Exit::exited);
      EXPECT_EQ(poked->outcome(i).exit_code, 33);
    } else {
      ASSERT_EQ(poked->outcome(i).exit, abi::Exit::returned) << i;
      EXPECT_EQ(poked->values(i)[0], i);
    }
  }
}

TEST_F(RuntimeSwarm, cancel_while_parked_leaves_it_parked_and_resumable) {
  sys::HostRegistry registry;
  std::atomic<bool> answer{false};
  std::atomic<bool> waiting{false};
  const auto serve = [&](std::span<sys::HostCall> calls) {
    for (sys::HostCall& call : calls) {
      waiting = true;
      if (answer) {
        call.values[0] *= 2;
      } else {
        call.verdict = abi::Exit::parked;
      }
    }
  };
  ASSERT_TRUE(registry.add({"test", "twice", host_type(1, 1), serve}).has_value());
  ASSERT_TRUE(registry.add({"test", "poke", host_type(2, 0), serve}).has_value());
  open({.registry = &registry});
  const auto program = program_of(testing::hosted_wasm);
  const auto ids = spawn(program, 4);
  std::atomic<bool> done{false};
  std::thread canceller([&] {
    while (!waiting) std::this_thread::yield();
    while (!done) {
      swarm_->cancel();
      std::this_thread::yield();
    }
  });
  const auto stopped = call(ids, function(*program, "call"), {21});
  done = true;
  canceller.join();
  ASSERT_TRUE(stopped.has_value());
  for (std::size_t i = 0; i < 4; ++i) {
    // The ones that had not begun when the stop came are cancelled.
    EXPECT_TRUE(stopped->outcome(i).exit == abi::Exit::parked ||
                stopped->outcome(i).exit == abi::Exit::cancelled);
  }
  EXPECT_GE(stopped->count(abi::Exit::parked), 1u);
  answer = true;
  const auto resumed = swarm_->resume(ids);
  ASSERT_TRUE(resumed.has_value()) << resumed.error().describe();
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(resumed->outcome(i).exit, abi::Exit::returned);
    EXPECT_EQ(resumed->values(i)[0], 43u);
  }
}

TEST_F(RuntimeSwarm, a_program_without_its_host_functions_is_not_spawned) {
  const auto ids = swarm_->spawn(program_of(testing::hosted_wasm), 1);
  ASSERT_FALSE(ids.has_value());
  EXPECT_EQ(ids.error().code(), ErrorCode::not_found);
  EXPECT_NE(ids.error().message().find("test.twice"), std::string::npos);
}

TEST_F(RuntimeSwarm, reservations_are_bounded_and_nothing_leaks_on_refusal) {
  open({}, 1, std::uint64_t{64} << 20);
  const auto program = program_of(testing::basic_wasm);
  const auto refused = swarm_->spawn(program, 1'000'000);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::out_of_memory);
  EXPECT_EQ(swarm_->size(), 0u);
  const auto absurd = swarm_->spawn(program, std::numeric_limits<std::uint64_t>::max());
  EXPECT_FALSE(absurd.has_value());
  const auto few = spawn(program, 20);
  EXPECT_EQ(swarm_->ordinal(few[0]).value_or(99), 0u) << "a refused spawn takes no ordinals";
  EXPECT_TRUE(call(few, function(*program, "bump")).has_value());
}

TEST_F(RuntimeSwarm, tables_show_their_elements) {
  const auto program = program_of(testing::bounded_wasm);
  const auto ids = spawn(program, 1, {.table_elements = 10});
  const auto before = swarm_->table_elements(ids[0], 0);
  ASSERT_TRUE(before.has_value());
  ASSERT_EQ(before->size(), 3u);
  EXPECT_EQ((*before)[0], 0u);
  EXPECT_EQ((*before)[1], function(*program, "f") + 1u);
  const auto grown = call(ids, function(*program, "grow_table"), {10});
  ASSERT_TRUE(grown.has_value());
  EXPECT_EQ(grown->values(0)[0], 3u);
  EXPECT_EQ(swarm_->table_elements(ids[0], 0)->size(), 13u);
  const auto refused = call(ids, function(*program, "grow_table"), {1});
  EXPECT_EQ(static_cast<std::int32_t>(refused->values(0)[0]), -1);
  EXPECT_FALSE(swarm_->table_elements(ids[0], 1).has_value());
}

TEST_F(RuntimeSwarm, headers_name_their_instance) {
  const auto program = program_of(testing::basic_wasm);
  const auto ids = spawn(program, 5);
  ASSERT_TRUE(call(ids, function(*program, "bump")).has_value());
  const auto header = swarm_->header(ids[3]);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->ordinal, 3u);
  EXPECT_EQ(header->generation, ids[3].generation);
  EXPECT_GT(header->fuel_used, 0u);
  EXPECT_EQ(header->exit, abi::Exit::returned);
  EXPECT_EQ(header->depth, 0u);
}

TEST_F(RuntimeSwarm, deep_frames_survive_being_stopped_anywhere) {
  const auto program = program_of(testing::basic_wasm);
  const auto whole = spawn(program, 1);
  const auto expected = call(whole, function(*program, "depth"), {200});
  ASSERT_EQ(expected->values(0)[0], 200u);
  const auto ids = spawn(program, 7);
  auto results = call(ids, function(*program, "depth"), {200}, 3);
  ASSERT_TRUE(results.has_value());
  std::uint64_t rounds = 0;
  std::vector<InstanceId> open(ids);
  while (!open.empty()) {
    const auto next = swarm_->resume(open, 11 + rounds++ % 5);
    ASSERT_TRUE(next.has_value()) << next.error().describe();
    std::vector<InstanceId> left;
    for (std::size_t i = 0; i < next->size(); ++i) {
      if (next->outcome(i).exit == abi::Exit::out_of_fuel) {
        left.push_back(next->id(i));
      } else {
        ASSERT_EQ(next->outcome(i).exit, abi::Exit::returned);
        EXPECT_EQ(next->values(i)[0], 200u);
        EXPECT_EQ(next->outcome(i).fuel_used, expected->outcome(0).fuel_used);
      }
    }
    open = left;
  }
  EXPECT_GT(rounds, 50u);
}

}  // namespace
}  // namespace warphive::runtime
