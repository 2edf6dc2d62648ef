// SPDX-License-Identifier: Apache-2.0
#include "opt/pipeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "ir/testing/random_module.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"

namespace warphive::opt {
namespace {

using ir::Op;

// Function 0 is (i32, i32) -> (i32) with header 2 and 20 slots; 1 is the same type, 2 a host stub.
std::string optimised(const std::string& body) {
  const std::string text = R"(
type 0 (i32, i32) -> (i32)
member 0 "m"
memory 0 min 1
table 0 funcref min 1
global 0 i32 mutable
data 0 { 00 }
host 0 "env" "f" type 0
fn 0 "" (i32, i32) -> (i32) frame 20 header 2 {
)" + body + R"(}
fn 1 "" (i32, i32) -> (i32) frame 3 header 2 {
b0:
  enter header 2 zero 0 + 0 frame 3
  ret s2
}
fn 2 "" (i32, i32) -> (i32) frame 3 header 2 {
b0:
  enter header 2 zero 0 + 0 frame 3
  host_call host0
  ret s2
}
)";
  auto module = ir::parse(text);
  if (!module) return module.error().describe();
  if (const Status status = ir::verify(*module); !status) return status.error().describe();
  const std::string other = ir::print(*module, 1) + ir::print(*module, 2);
  optimise(*module);
  if (const Status status = ir::verify(*module); !status) return status.error().describe();
  EXPECT_EQ(ir::print(*module, 1) + ir::print(*module, 2), other);
  std::string result = ir::print(*module, 0);
  result.erase(0, result.find('\n') + 1);
  return result.substr(0, result.rfind('}'));
}

TEST(Optimise, ReadsThroughCopies) {
  EXPECT_EQ(optimised(R"(b0:
  enter header 2 zero 0 + 0 frame 20
  mov s3, s0
  mov s4, s3
  add32 s5, s4, s3
  const_k s0, 1
  add32 s6, s4, s5
  add32 s0, s0, s6
  ret s2
)"),
            R"(b0:
  enter header 2 zero 0 + 0 frame 20
  mov s4, s0
  add32 s5, s0, s0
  const_k s0, 1
  add32 s6, s4, s5
  add32 s0, s0, s6
  ret s2
)") << "a copy is of no use once its origin is written";
}

TEST(Optimise, ForgetsCopiesThatCallsOverwrite) {
  EXPECT_EQ(optimised(R"(b0:
  enter header 2 zero 0 + 0 frame 20
  mov s3, s0
  mov s9, s1
  mov s10, s0
  call s9, fn1
  mov s4, s9
  add32 s4, s4, s3
  ret_mov s2, s4
)"),
            R"(b0:
  enter header 2 zero 0 + 0 frame 20
  mov s9, s1
  mov s10, s0
  call s9, fn1
  add32 s4, s9, s0
  ret_mov s2, s4
)");
}

TEST(Optimise, KeepsSlotsThatChunksUpdate) {
  const std::string body = R"(b0:
  enter header 2 zero 0 + 0 frame 20
  mov s3, s0
  mov s4, s0
  mov s5, s1
  charge 1
  memory_copy_chunk s3, s4, s5, memory0, memory0
  add32 s0, s0, s3
  ret s2
)";
  EXPECT_EQ(optimised(body), body);
}

TEST(Optimise, ForgetsCopiesAtBlocks) {
  const std::string body = R"(b0:
  enter header 2 zero 0 + 0 frame 20
  mov s3, s0
  br_eq32 s0, s1, b2
b1:
  const_k s3, 4
b2:
  charge 1
  add32 s0, s0, s3
  ret s2
)";
  EXPECT_EQ(optimised(body), body);
}

TEST(Optimise, RemovesWhatNothingReads) {
  EXPECT_EQ(optimised(R"(b0:
  enter header 2 zero 0 + 0 frame 20
  add32 s3, s0, s1
  mul32_k s4, s3, 7
  global_get s5, global0
  memory_size s6, memory0
  table_size s7, table0
  ref_func s8, fn1
  select s9, s0, s1, s0
  mov s0, s0
  ret s2
)"),
            R"(b0:
  enter header 2 zero 0 + 0 frame 20
  ret s2
)");
}

TEST(Optimise, KeepsWhatTrapsOrActs) {
  const std::string body = R"(b0:
  enter header 2 zero 0 + 0 frame 20
  div32_s s3, s0, s1
  load32_u s4, [s0]
  cvt_i32_f32_s s5, s0
  table_get s6, s0, table0
  memory_grow s7, s0, memory0
  table_grow s8, s0, table0
  charge 0
  charge 3
  store8 [s0], s1
  global_set s0, global0
  data_drop data0
  call s9, fn1
  ret s2
)";
  EXPECT_EQ(optimised(body), body);
}

TEST(Optimise, RemovesBlocksThatBecomeEmpty) {
  EXPECT_EQ(optimised(R"(  jump0 = b3 b2 b1
b0:
  enter header 2 zero 0 + 0 frame 20
  br_table s0, jump0
b1:
  const_k s3, 1
b2:
  const_k s3, 2
b3:
  charge 1
  br_eq32 s0, s1, b2
b4:
  ret s2
)"),
            R"(  jump0 = b1 b1 b1
b0:
  enter header 2 zero 0 + 0 frame 20
  br_table s0, jump0
b1:
  charge 1
  br_eq32 s0, s1, b1
b2:
  ret s2
)");
}

TEST(Optimise, ZeroesOnlyWhatIsRead) {
  EXPECT_EQ(optimised(R"(b0:
  enter header 2 zero 3 + 17 frame 20
  const_k s3, 1
  add32 s3, s3, s6
  br_eq32 s0, s1, b2
b1:
  mov s0, s3
  ret s2
b2:
  charge 1
  add32 s0, s8, s7
  const_k s8, 2
  br_ne32 s0, s8, b2
b3:
  ret s2
)"),
            R"(b0:
  enter header 2 zero 6 + 3 frame 20
  const_k s3, 1
  add32 s3, s3, s6
  br_eq32 s0, s1, b2
b1:
  mov s0, s3
  ret s2
b2:
  charge 1
  add32 s0, s8, s7
  const_k s8, 2
  br_ne32 s0, s8, b2
b3:
  ret s2
)");
}

TEST(Optimise, ZeroesTheSameOfManySlots) {
  for (const auto& [first, last] : {std::pair{1u, 1u},
                                    {1u, 65'000u},
                                    {63u, 64u},
                                    {64u, 128u},
                                    {127u, 40'000u},
                                    {64'959u, 65'000u},
                                    {65'000u, 65'000u}}) {
    ir::Module module;
    module.types.emplace_back();
    module.members.emplace_back();
    module.globals.push_back({});
    ir::Function& function = module.functions.emplace_back();
    function.frame_slots = 65'001;
    function.blocks = {0};
    function.code = {{Op::enter, 0, 1, 65'000, 65'001},
                     {Op::global_set, static_cast<std::uint16_t>(first), 0, 0, 0},
                     {Op::global_set, static_cast<std::uint16_t>(last), 0, 0, 0},
                     {Op::ret, 0, 0, 0, 0}};
    function.source.assign(function.code.size(), 0);
    ASSERT_TRUE(ir::verify(module));
    optimise(module);
    EXPECT_EQ(module.functions[0].code[0].b, first);
    EXPECT_EQ(module.functions[0].code[0].c, last - first + 1);
  }
}

// Small functions with many locals must not cost the time of large ones.
TEST(Optimise, ManyLocalsCostLittle) {
  ir::Module module;
  module.types.emplace_back();
  module.members.emplace_back();
  ir::Function function;
  function.frame_slots = 65'001;
  function.blocks = {0};
  function.code = {{Op::enter, 0, 1, 65'000, 65'001}, {Op::ret, 0, 0, 0, 0}};
  function.source = {0, 0};
  module.functions.assign(10'000, function);
  const auto start = std::chrono::steady_clock::now();
  optimise(module);
  // Slot by slot it takes more than 2 s, in release builds too.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1500));
  EXPECT_EQ(module.functions.back().code[0].c, 0);
}

TEST(Optimise, ZeroesNothingThatIsWrittenFirst) {
  EXPECT_EQ(optimised(R"(b0:
  enter header 2 zero 3 + 9 frame 20
  const_k s3, 1
  div32_s s3, s3, s0
  ret_mov s2, s3
)"),
            R"(b0:
  enter header 2 zero 0 + 0 frame 20
  const_k s3, 1
  div32_s s3, s3, s0
  ret_mov s2, s3
)");
}

TEST(Optimise, ComputesWhereTheCopyGoes) {
  EXPECT_EQ(optimised(R"(b0:
  enter header 2 zero 0 + 0 frame 20
  load32_u s3, [s0]
  store32 [s1], s3
  mov s4, s3
  br_eq32 s0, s1, b2
b1:
  add32 s0, s4, s1
  ret s2
b2:
  ret_mov s2, s4
)"),
            R"(b0:
  enter header 2 zero 0 + 0 frame 20
  load32_u s4, [s0]
  store32 [s1], s4
  br_eq32 s0, s1, b2
b1:
  add32 s0, s4, s1
  ret s2
b2:
  ret_mov s2, s4
)");
}

TEST(Optimise, KeepsCopiesWhoseTargetIsStillInUse) {
  for (const char* between :
       {"store32 [s1], s4", "const_k s4, 3\n  store32 [s1], s4", "call s5, fn1", "call s4, fn1"}) {
    const std::string body = std::string(R"(b0:
  enter header 2 zero 4 + 3 frame 20
  load32_u s3, [s0]
  )") + between + R"(
  mov s4, s3
  br_eq32 s0, s1, b2
b1:
  add32 s0, s4, s1
  ret s2
b2:
  ret_mov s2, s4
)";
    EXPECT_NE(optimised(body).find("  mov s4, s3\n"), std::string::npos) << optimised(body);
  }
}

TEST(Optimise, ResultsAndArgumentsAreRead) {
  const std::string body = R"(b0:
  enter header 2 zero 0 + 0 frame 20
  const_k s9, 1
  const_k s10, 2
  call s9, fn1
  const_k s9, 3
  const_k s10, 4
  const_k s3, 0
  call_indirect s9, s3, table0, type0
  store8 [s9], s9
  const_k s0, 4
  ret s2
)";
  EXPECT_EQ(optimised(body), body);
}

std::vector<std::pair<std::uint64_t, std::uint32_t>> charges(const ir::Function& function) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> list;
  for (std::size_t i = 0; i < function.code.size(); ++i) {
    if (function.code[i].op == Op::charge) {
      list.emplace_back(function.code[i].imm, function.source[i]);
    }
  }
  return list;
}

TEST(Optimise, KeepsChargesAndFramesOfRandomModules) {
  std::size_t before = 0;
  std::size_t after = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    ir::testing::Choices choices(seed);
    ir::testing::RandomOptions options;
    options.host_calls = seed % 2 == 0;
    const ir::Module module = ir::testing::random_module(choices, options);
    ir::Module result = module;
    optimise(result);
    const Status status = ir::verify(result);
    ASSERT_TRUE(status) << status.error().describe() << ir::print(module);
    for (std::size_t i = 0; i < module.functions.size(); ++i) {
      const ir::Function& function = result.functions[i];
      EXPECT_EQ(charges(function), charges(module.functions[i]));
      EXPECT_EQ(function.frame_slots, module.functions[i].frame_slots);
      EXPECT_EQ(function.header_slot, module.functions[i].header_slot);
      EXPECT_TRUE(std::is_sorted(function.source.begin(), function.source.end()));
      before += module.functions[i].code.size();
      after += function.code.size();
    }
  }
  EXPECT_LT(after, before);
}

TEST(Optimise, LeavesImportsAlone) {
  auto module = ir::parse(
      "type 0 () -> ()\nmember 0 \"\"\n"
      "fn 0 \"\" () -> () frame 0 header 0 import \"a\" \"b\"");
  ASSERT_TRUE(module);
  const ir::Module before = *module;
  optimise(*module);
  EXPECT_TRUE(*module == before);
}

// Many blocks times many slots would take memory beyond measure: such a function stays as it is.
TEST(Optimise, SkipsWhatIsTooLarge) {
  ir::Module module;
  module.types.emplace_back();
  module.members.emplace_back();
  ir::Function& function = module.functions.emplace_back();
  function.frame_slots = 65'536;
  function.blocks = {0};
  function.code = {{Op::enter, 0, 1, 65'535, 65'536}};
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    function.code.push_back({Op::const_k, 1, 0, 0, i});
    function.code.push_back({Op::br_eq32, 2, 3, 0, function.blocks.size()});
    function.blocks.push_back(static_cast<std::uint32_t>(function.code.size()));
  }
  function.code.push_back({Op::ret, 0, 0, 0, 0});
  function.source.assign(function.code.size(), 0);
  ASSERT_TRUE(ir::verify(module));
  const ir::Module before = module;
  optimise(module);
  EXPECT_TRUE(module == before);
}

// Copies and calls in great number stay cheap: each call looks at a bounded list.
TEST(Optimise, TakesManyCopiesAndCalls) {
  ir::Module module;
  module.types.emplace_back();
  module.members.emplace_back();
  ir::Function& function = module.functions.emplace_back();
  function.frame_slots = 4'000;
  function.blocks = {0};
  function.code = {{Op::enter, 0, 1, 3'999, 4'000}, {Op::charge, 0, 0, 0, 1}};
  for (std::uint16_t i = 2; i < 3'900; ++i) {
    function.code.push_back({Op::mov, i, 1, 0, 0});
  }
  for (int i = 0; i < 50'000; ++i) function.code.push_back({Op::call, 3'950, 0, 0, 0});
  for (std::uint16_t i = 2; i < 3'900; ++i) {
    function.code.push_back({Op::store32, i, 1, 0, 0});
  }
  function.code.push_back({Op::ret, 0, 0, 0, 0});
  function.source.assign(function.code.size(), 0);
  module.memories.emplace_back();
  ASSERT_TRUE(ir::verify(module));
  optimise(module);
  EXPECT_TRUE(ir::verify(module));
}

}  // namespace
}  // namespace warphive::opt
