// SPDX-License-Identifier: Apache-2.0
// Engine, Module and Program.
#include "warphive/engine.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "api/data.hpp"
#include "api/testing.hpp"

namespace warphive::testing {
namespace {

TEST(EngineTest, devices_are_listed_honestly) {
  const auto devices = Engine::devices();
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[0].name, "cpu");
  EXPECT_TRUE(devices[0].available);
  EXPECT_TRUE(contains(devices[0].description, "GiB")) << devices[0].description;
  EXPECT_EQ(devices[1].name, "cuda");
  EXPECT_FALSE(devices[1].available);
  EXPECT_FALSE(devices[1].reason.empty());
}

TEST(EngineTest, devices_that_are_not_there_are_refused) {
  for (const char* device : {"cuda", "cuda:0", "cuda:17"}) {
    const auto engine = Engine::create({.device = device});
    ASSERT_TRUE(fails_with(engine, ErrorCode::unavailable)) << device;
    EXPECT_TRUE(contains(message_of(engine), device));
  }
  for (const char* device : {"", "gpu", "cuda:", "cuda:x", "CPU", "vulkan"}) {
    EXPECT_TRUE(fails_with(Engine::create({.device = device}), ErrorCode::not_found)) << device;
  }
  EXPECT_TRUE(fails_with(Engine::create({.device = "cpu", .threads = 1'000'000}),
                         ErrorCode::limit_exceeded));
}

TEST(EngineTest, modules_describe_themselves) {
  const Module module = module_of(modules::hosted_wasm);
  const auto imports = module.imports();
  ASSERT_EQ(imports.size(), 2u);
  EXPECT_EQ(imports[0].module, "test");
  EXPECT_EQ(imports[1].field, "poke");
  EXPECT_EQ(imports[0].kind, EntityKind::function);
  const auto exports = module.exports();
  ASSERT_EQ(exports.size(), 4u);
  EXPECT_EQ(exports[0].name, "memory");
  EXPECT_EQ(exports[0].kind, EntityKind::memory);
  EXPECT_GT(module.guest_instructions(), 10u);
  EXPECT_GT(module.ir_instructions(), 5u);
}

TEST(EngineTest, bad_modules_are_errors) {
  const auto garbage = Module::from_bytes(modules::bytes_of("this is not WebAssembly"));
  ASSERT_TRUE(fails_with(garbage, ErrorCode::invalid_input));
  EXPECT_EQ(garbage.error().phase(), ErrorPhase::parse);
  EXPECT_FALSE(Module::from_bytes({}).has_value());
  const ModuleOptions tiny{.limits = {.module_bytes = 10}};
  EXPECT_TRUE(fails_with(Module::from_bytes(modules::bytes_of(modules::basic_wasm), tiny),
                         ErrorCode::limit_exceeded));
  EXPECT_TRUE(fails_with(Module::from_file("/nonexistent/x.wasm"), ErrorCode::not_found));
  EXPECT_TRUE(fails_with(Module::from_file("/"), ErrorCode::io));
}

TEST(EngineTest, modules_load_from_files_with_and_within_limits) {
  const std::string path = ::testing::TempDir() + "warphive_engine_test.wasm";
  {
    std::ofstream file(path, std::ios::binary);
    file.write(modules::basic_wasm.data(),
               static_cast<std::streamsize>(modules::basic_wasm.size()));
  }
  EXPECT_EQ(must(Module::from_file(path)).exports().size(),
            module_of(modules::basic_wasm).exports().size());
  EXPECT_TRUE(fails_with(
      Module::from_file(path, {.limits = {.module_bytes = modules::basic_wasm.size() - 1}}),
      ErrorCode::limit_exceeded));
  EXPECT_TRUE(Module::from_file(path, {.limits = {.module_bytes = modules::basic_wasm.size()}})
                  .has_value());
  std::remove(path.c_str());
}

TEST(EngineTest, programs_find_functions_and_suggest_the_nearest) {
  const Engine engine = make_engine();
  const Program program = program_of(engine, modules::basic_wasm);
  const Function add = must(program.find_function("add"));
  EXPECT_EQ(to_string(add.type), "(i32, i32) -> (i32)");
  const auto wrong = program.find_function("ad");
  ASSERT_TRUE(fails_with(wrong, ErrorCode::not_found));
  EXPECT_TRUE(contains(message_of(wrong), "nearest is (add)")) << message_of(wrong);
  EXPECT_TRUE(contains(message_of(wrong), "bump"));
  EXPECT_FALSE(contains(message_of(program.find_function("zzzzzzzzzz")), "nearest"));
  EXPECT_TRUE(fails_with(program.find_function("memory"), ErrorCode::not_found))
      << "an export, but no function";
  bool found = false;
  for (const auto& item : program.exports()) {
    if (item.name != "add") continue;
    found = true;
    EXPECT_EQ(item.kind, EntityKind::function);
    EXPECT_EQ(item.type, add.type);
    EXPECT_EQ(item.index, add.index);
  }
  EXPECT_TRUE(found);
  EXPECT_TRUE(program.has_memory());
  EXPECT_TRUE(contains(program.ir_text(), "add32"));
  const Program other = program_of(engine, modules::other_wasm);
  EXPECT_FALSE(other.has_memory());
  EXPECT_EQ(other.default_memory_pages(), 0u);
}

TEST(EngineTest, the_linked_module_before_optimisation_can_be_had_again) {
  const Engine engine = make_engine();
  const Program program = program_of(engine, modules::basic_wasm);
  const auto linked = detail::linked_module(*program.data());
  ASSERT_TRUE(linked.has_value()) << message_of(linked);
  EXPECT_EQ(linked->functions.size(), program.data()->program->module.functions.size());
}

TEST(EngineTest, linking_nothing_is_an_error) {
  const Engine engine = make_engine();
  EXPECT_TRUE(fails_with(engine.link(std::span<const LinkItem>()), ErrorCode::invalid_input));
}

TEST(EngineTest, enumerators_have_names) {
  EXPECT_EQ(to_string(Exit::out_of_fuel), "out_of_fuel");
  EXPECT_EQ(to_string(TrapKind::stack_overflow), "stack_overflow");
  EXPECT_EQ(to_string(ValueType::externref), "externref");
}

TEST(EngineTest, nearest_names_have_a_limit) {
  const std::vector<std::string> names = {"alpha", "beta", std::string(10'000, 'x')};
  EXPECT_EQ(detail::nearest_name("alpa", names), "alpha");
  EXPECT_EQ(detail::nearest_name(std::string(100'000, 'x'), names), "");
  EXPECT_EQ(detail::nearest_name("gamma", {}), "");
  EXPECT_EQ(detail::nearest_name("", {"a", "of"}), "") << "nothing resembles no name";
}

}  // namespace
}  // namespace warphive::testing
