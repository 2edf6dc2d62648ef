// SPDX-License-Identifier: Apache-2.0
// Where a program's code comes from, and when.
#include "codegen/tier.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "ir/testing/random_module.hpp"

namespace warphive::codegen {
namespace {

namespace fs = std::filesystem;

struct Program {
  ir::Module module;
  ir::EncodedProgram encoded;
};

std::shared_ptr<const Program> make_program(unsigned seed = 11) {
  auto program = std::make_shared<Program>();
  ir::testing::Choices choices(seed);
  program->module = ir::testing::random_module(choices);
  auto encoded = ir::encode(program->module);
  EXPECT_TRUE(encoded);
  program->encoded = std::move(*encoded);
  return program;
}

class TierTest : public ::testing::Test {
 protected:
  TierTest() : program_(make_program()), queue_(std::make_shared<CompileQueue>()) {
    std::string name = (fs::temp_directory_path() / "warphive_tier_XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    auto cache = CodeCache::open({.directory = root_});
    EXPECT_TRUE(cache);
    cache_ = std::move(*cache);
  }
  ~TierTest() override { fs::remove_all(root_); }

  [[nodiscard]] std::shared_ptr<ProgramTier> tier(std::size_t most_insns_at_once) const {
    return ProgramTier::make(
        program_, program_->module, program_->encoded,
        {.cache = cache_, .queue = queue_, .most_insns_at_once = most_insns_at_once});
  }
  [[nodiscard]] std::shared_ptr<ProgramTier> small() const { return tier(~std::size_t{0}); }
  [[nodiscard]] std::shared_ptr<ProgramTier> large() const { return tier(0); }

  static bool has_code(const ProgramTier& tier) { return tier.slot()->code != nullptr; }
  /// As lanes do that are interpreted for long.
  static void heat(const ProgramTier& tier) {
    for (int i = 0; i < 5000; ++i) tier.slot()->want(tier.slot(), 1);
  }

  fs::path root_;
  std::shared_ptr<const Program> program_;
  std::shared_ptr<CodeCache> cache_;
  std::shared_ptr<CompileQueue> queue_;
};

TEST_F(TierTest, ASmallProgramStartsWithWhatTheCacheHas) {
  const auto first = small();
  first->load_cached();
  EXPECT_FALSE(has_code(*first));
  EXPECT_EQ(first->status().state, TierState::cold);
  ASSERT_TRUE(first->compile());
  const auto second = small();
  second->load_cached();
  EXPECT_TRUE(has_code(*second));
  EXPECT_TRUE(second->status().from_cache);
}

TEST_F(TierTest, ALargeProgramGoesOverToWhatTheCacheHas) {
  ASSERT_TRUE(large()->compile());
  const auto second = large();
  second->load_cached();
  second->wait_until_idle();
  EXPECT_EQ(second->status().state, TierState::ready);
  EXPECT_TRUE(second->status().from_cache);
}

TEST_F(TierTest, ALargeProgramIsCompiledOnceItIsHot) {
  const auto cold = large();
  cold->load_cached();
  cold->wait_until_idle();
  EXPECT_EQ(cold->status().state, TierState::cold);
  heat(*cold);
  cold->wait_until_idle();
  EXPECT_EQ(cold->status().state, TierState::ready);
  EXPECT_FALSE(cold->status().from_cache);
}

TEST_F(TierTest, WhatBecomesHotDuringTheLookUpIsCompiled) {
  for (unsigned seed = 20; seed < 30; ++seed) {
    program_ = make_program(seed);
    const auto hot = large();
    hot->load_cached();
    heat(*hot);
    hot->wait_until_idle();
    EXPECT_EQ(hot->status().state, TierState::ready) << seed;
  }
}

TEST_F(TierTest, WithoutAQueueALargeProgramStaysInterpreted) {
  ASSERT_TRUE(large()->compile());
  queue_.reset();
  const auto tier = large();
  tier->load_cached();
  heat(*tier);
  tier->wait_until_idle();
  EXPECT_FALSE(has_code(*tier));
}

TEST_F(TierTest, AProgramThatEndedIsNotLookedUp) {
  ASSERT_TRUE(large()->compile());
  auto kept = std::make_shared<int>(0);
  const auto ended =
      ProgramTier::make(std::weak_ptr<const void>(kept), program_->module, program_->encoded,
                        {.cache = cache_, .queue = queue_, .most_insns_at_once = 0});
  kept.reset();
  ended->load_cached();
  ended->wait_until_idle();
  EXPECT_FALSE(has_code(*ended));
}

}  // namespace
}  // namespace warphive::codegen
