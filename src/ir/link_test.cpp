// SPDX-License-Identifier: Apache-2.0
#include "ir/link.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "ir/testing/random_module.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"

namespace warphive::ir {
namespace {

Module read(std::string_view text) {
  auto module = parse(text);
  EXPECT_TRUE(module) << module.error().describe();
  const auto status = verify(*module);
  EXPECT_TRUE(status) << status.error().describe();
  return std::move(*module);
}

struct Named {
  std::string name;
  std::string_view text;
};

std::map<std::pair<std::string, std::string>, FunctionType> no_hosts;

Result<Module> link_all(const std::vector<Named>& inputs, const decltype(no_hosts)& hosts = {}) {
  std::vector<Module> modules;
  modules.reserve(inputs.size());
  for (const Named& input : inputs) modules.push_back(read(input.text));
  std::vector<LinkInput> members;
  members.reserve(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) members.push_back({&modules[i], inputs[i].name});
  LinkOptions options;
  options.host_function = [&hosts](std::string_view module, std::string_view field) {
    const auto found = hosts.find({std::string(module), std::string(field)});
    return found == hosts.end() ? std::nullopt : std::optional(found->second);
  };
  return link(members, options);
}

Module linked(const std::vector<Named>& inputs, const decltype(no_hosts)& hosts = {}) {
  auto module = link_all(inputs, hosts);
  if (!module) {
    ADD_FAILURE() << module.error().describe();
    return {};
  }
  const auto status = verify(*module);
  EXPECT_TRUE(status) << status.error().describe();
  EXPECT_TRUE(is_linked(*module));
  return std::move(*module);
}

std::string error_of(const std::vector<Named>& inputs, const decltype(no_hosts)& hosts = {}) {
  const auto module = link_all(inputs, hosts);
  if (module) return "linked";
  EXPECT_EQ(module.error().phase(), ErrorPhase::link);
  return module.error().message();
}

constexpr std::string_view library = R"(
type 0 () -> ()
type 1 (i32) -> (i32)
member 0 "" init 2
export "twice" fn 1
export "again" fn 1
export "memory" memory 0
export "table" table 0
export "counter" global 1
export "limit" global 0
memory 0 min 1 max 4
table 0 funcref min 2 max 8
global 0 i32
global 1 i64 mutable
data 0 { 0102 }
elem 0 { fn1 null }
fn 0 "first" () -> () frame 1 header 0 {
b0:
  enter header 0 zero 0 + 0 frame 1
  ret s0
}
fn 1 "twice" (i32) -> (i32) frame 2 header 1 {
b0:
  enter header 1 zero 0 + 0 frame 2
  charge 3
  add32 s0, s0, s0
  ret s1
}
fn 2 "init" () -> () frame 4 header 0 {
b0:
  enter header 0 zero 1 + 3 frame 4
  memory_init_check s1, s2, s3, memory0, data0
  table_init_check s1, s2, s3, table0, elem0
  data_drop data0
  elem_drop elem0
  ret s0
}
)";

// Types in another order, own entities beside imported ones.
constexpr std::string_view client = R"(
type 0 (i32) -> (i32)
type 1 () -> ()
type 2 (i64) -> ()
member 0 "" init 2 start 1
export "run" fn 2
export "lib_memory" memory 0
export "own_memory" memory 1
memory 0 min 1 grows import "lib" "memory"
memory 1 min 2
table 0 funcref min 1 changes import "lib" "table"
table 1 externref min 3
global 0 i64 mutable import "lib" "counter"
global 1 funcref mutable
data 0 { ff }
elem 0 { fn0 global1 fn3 }
fn 0 "" (i32) -> (i32) frame 0 header 0 import "lib" "again"
fn 1 "" () -> () frame 0 header 0 import "env" "tick"
fn 2 "run" () -> () frame 6 header 0 guest 2 {
  jump0 = b1 b1
b0:
  enter header 0 zero 1 + 5 frame 6
  charge 1
  call s5, fn0
  call s5, fn1
  call_indirect s5, s1, table0, type0
  call_indirect s5, s1, table0, type1
  global_get s1, global0
  global_set s1, global1
  ref_func s2, fn3
  load32_u s1, [s2 + 7]
  store32 memory1 [s2 + 9], s1
  memory_copy_check s1, s2, s3, memory1, memory0
  memory_init_check s1, s2, s3, memory1, data0
  table_init_check s1, s2, s3, table0, elem0
  memory_grow s1, s2, memory0
  table_size s3, table1
  const_k s4, 3
  br_table s1, jump0
b1:
  ret s0
}
fn 3 "spare" () -> () frame 1 header 0 guest 3 {
b0:
  enter header 0 zero 0 + 0 frame 1
  ret s0
}
)";

TEST(Link, JoinsMembers) {
  const Module program =
      linked({{"lib", library}, {"app", client}}, {{{"env", "tick"}, FunctionType{}}});
  // Types by structure: those of the library come first.
  ASSERT_EQ(program.types.size(), 3U);
  EXPECT_EQ(to_string(program.types[2]), "(i64) -> ()");
  // Functions: the library's 0-2, the host stub 3, run 4, spare 5.
  ASSERT_EQ(program.functions.size(), 6U);
  EXPECT_EQ(print(program, 4),
            R"(fn 4 "run" () -> () frame 6 header 0 member 1 guest 2 {
  jump0 = b1 b1
b0:
  enter header 0 zero 1 + 5 frame 6
  charge 1
  call s5, fn1
  call s5, fn3
  call_indirect s5, s1, table0, type1
  call_indirect s5, s1, table0, type0
  global_get s1, global1
  global_set s1, global2
  ref_func s2, fn5
  load32_u s1, [s2 + 7]
  store32 memory1 [s2 + 9], s1
  memory_copy_check s1, s2, s3, memory1, memory0
  memory_init_check s1, s2, s3, memory1, data1
  table_init_check s1, s2, s3, table0, elem1
  memory_grow s1, s2, memory0
  table_size s3, table1
  const_k s4, 3
  br_table s1, jump0
b1:
  ret s0
}
)");
  EXPECT_EQ(print(program, 3), R"(fn 3 "env.tick" () -> () frame 1 header 0 member 1 {
b0:
  enter header 0 zero 0 + 0 frame 1
  host_call host0
  ret s0
}
)");
  EXPECT_EQ(program.host_imports, (std::vector<HostImport>{{"env", "tick", 0}}));
  EXPECT_EQ(program.element_segments[1], (std::vector<Element>{{Element::Kind::function, 1},
                                                               {Element::Kind::global, 2},
                                                               {Element::Kind::function, 5}}));
  // What the importer does to a memory or table marks the provider's.
  EXPECT_TRUE(program.memories[0].grows);
  EXPECT_FALSE(program.memories[1].grows);
  EXPECT_TRUE(program.tables[0].changes);
  EXPECT_FALSE(program.tables[1].changes);
  EXPECT_EQ(program.memories[0].max_pages, 4U);
  EXPECT_EQ(program.memories[1].min_pages, 2U);

  ASSERT_EQ(program.members.size(), 2U);
  EXPECT_EQ(program.members[0].name, "lib");
  EXPECT_EQ(program.members[0].init, 2U);
  EXPECT_EQ(program.members[0].start, none);
  EXPECT_EQ(program.members[1].init, 4U);
  EXPECT_EQ(program.members[1].start, 3U);
  EXPECT_EQ(find_export(program, "run", EntityKind::function)->index, 4U);
  EXPECT_EQ(find_export(program, "lib_memory", EntityKind::memory)->index, 0U);
  EXPECT_EQ(find_export(program, "own_memory", EntityKind::memory)->index, 1U);
  EXPECT_EQ(find_export(program, "run", EntityKind::memory), nullptr);
  EXPECT_EQ(find_export(program, "absent", EntityKind::function), nullptr);
}

TEST(Link, KeepsALoneModule) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    testing::Choices choices(seed);
    const Module module = testing::random_module(choices);
    const auto program = link(std::vector<LinkInput>{{&module, "m"}});
    ASSERT_TRUE(program) << program.error().describe();
    EXPECT_TRUE(*program == module) << print(module) << print(*program);
  }
}

TEST(Link, JoinsRandomModules) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    testing::Choices choices(seed);
    const Module one = testing::random_module(choices);
    const Module two = testing::random_module(choices);
    const auto program =
        link(std::vector<LinkInput>{{&one, "one"}, {&two, "two"}, {&one, "three"}});
    ASSERT_TRUE(program) << program.error().describe();
    const auto status = verify(*program);
    ASSERT_TRUE(status) << status.error().describe();
    EXPECT_EQ(program->functions.size(), 2 * one.functions.size() + two.functions.size());
    EXPECT_EQ(program->memories.size(), 3U);
  }
}

TEST(Link, LinksNothing) { EXPECT_TRUE(link({})); }

constexpr std::string_view exports_one = R"(
type 0 () -> (i32)
member 0 ""
export "f" fn 0
fn 0 "one" () -> (i32) frame 2 header 1 {
b0:
  enter header 1 zero 0 + 0 frame 2
  const_k s0, 1
  ret s1
}
)";
constexpr std::string_view imports_f = R"(
type 0 () -> (i32)
member 0 ""
export "f" fn 0
fn 0 "" () -> (i32) frame 0 header 0 import "a" "f"
)";

TEST(Link, TakesTheLatestMemberOfAName) {
  const Module program = linked({{"a", exports_one}, {"a", exports_one}, {"b", imports_f}});
  EXPECT_EQ(program.members[2].exports[0].index, 1U);
}

TEST(Link, ReexportsWhatWasImported) {
  constexpr std::string_view from_b = R"(
type 0 () -> (i32)
member 0 ""
export "g" fn 0
fn 0 "" () -> (i32) frame 0 header 0 import "b" "f"
)";
  const Module program = linked({{"a", exports_one}, {"b", imports_f}, {"c", from_b}});
  EXPECT_EQ(program.functions.size(), 1U);
  EXPECT_EQ(find_export(program, "g", EntityKind::function)->index, 0U);
}

TEST(Link, LaterMembersProvideNothing) {
  EXPECT_EQ(error_of({{"b", imports_f}, {"a", exports_one}}),
            "Import (a.f), a function of type () -> (i32), is unknown: no earlier module is named "
            "so and no host provides it.");
}

TEST(Link, HostFunctionsSeeTheMemoryOfTheirCaller) {
  constexpr std::string_view with_memory = R"(
type 0 () -> ()
member 0 ""
memory 0 min 1
fn 0 "" () -> () frame 0 header 0 import "env" "f"
)";
  constexpr std::string_view without = R"(
type 0 () -> ()
member 0 ""
fn 0 "" () -> () frame 0 header 0 import "env" "f"
)";
  const Module program =
      linked({{"a", with_memory}, {"b", with_memory}, {"c", without}, {"d", with_memory}},
             {{{"env", "f"}, FunctionType{}}});
  EXPECT_EQ(program.host_imports,
            (std::vector<HostImport>{{"env", "f", 0, 0}, {"env", "f", 0, 1}, {"env", "f", 0, 2}}));
  EXPECT_TRUE(verify(program));
}

TEST(Link, MembersHideTheHost) {
  const FunctionType type{{}, {ValueType::i32}};
  const Module program = linked({{"a", exports_one}, {"b", imports_f}}, {{{"a", "f"}, type}});
  EXPECT_TRUE(program.host_imports.empty());
}

TEST(Link, FallsBackToTheHostWhereAMemberLacksTheName) {
  constexpr std::string_view nothing = "member 0 \"\"";
  const FunctionType type{{}, {ValueType::i32}};
  const Module program = linked({{"a", nothing}, {"b", imports_f}}, {{{"a", "f"}, type}});
  EXPECT_EQ(program.host_imports.size(), 1U);
}

TEST(Link, OneStubForEachHostFunction) {
  constexpr std::string_view twice = R"(
type 0 () -> ()
member 0 ""
fn 0 "" () -> () frame 0 header 0 import "a" "b.c"
fn 1 "" () -> () frame 0 header 0 import "a.b" "c"
fn 2 "" () -> () frame 0 header 0 import "a" "b.c"
)";
  const Module program = linked({{"x", twice}, {"y", twice}},
                                {{{"a", "b.c"}, FunctionType{}}, {{"a.b", "c"}, FunctionType{}}});
  EXPECT_EQ(program.functions.size(), 2U);
  EXPECT_EQ(program.host_imports, (std::vector<HostImport>{{"a", "b.c", 0}, {"a.b", "c", 0}}));
}

TEST(Link, StubsHaveRoomForResults) {
  constexpr std::string_view text = R"(
type 0 (i32) -> (i64, i64, f32)
member 0 ""
fn 0 "" (i32) -> (i64, i64, f32) frame 0 header 0 import "h" "f"
)";
  const FunctionType type{{ValueType::i32}, {ValueType::i64, ValueType::i64, ValueType::f32}};
  const Module program = linked({{"x", text}}, {{{"h", "f"}, type}});
  EXPECT_EQ(program.functions[0].header_slot, 3U);
  EXPECT_EQ(program.functions[0].frame_slots, 4U);
  EXPECT_EQ(program.functions[0].guest_index, none);
}

TEST(LinkErrors, Functions) {
  EXPECT_EQ(error_of({{"b", imports_f}}, {{{"a", "f"}, FunctionType{}}}),
            "Import (a.f) wants a function of type () -> (i32), but the host provides one of type "
            "() -> ().");
  constexpr std::string_view other = R"(
type 0 (i32) -> ()
member 0 ""
fn 0 "" (i32) -> () frame 0 header 0 import "a" "f"
)";
  EXPECT_EQ(error_of({{"a", exports_one}, {"b", other}}),
            "Import (a.f) wants a function of type (i32) -> (), but (a) exports one of type () -> "
            "(i32).");
}

TEST(LinkErrors, CloseNames) {
  constexpr std::string_view text = R"(
type 0 (i32) -> (i32)
member 0 ""
fn 0 "" (i32) -> (i32) frame 0 header 0 import "lib" "twise"
)";
  EXPECT_EQ(error_of({{"lib", library}, {"b", text}}),
            "Import (lib.twise), a function of type (i32) -> (i32), is unknown: (lib) exports no "
            "such name and no host provides it. Close names: (twice).");
}

TEST(LinkErrors, NamesAreShownSafely) {
  const std::string text =
      "type 0 () -> ()\nmember 0 \"\"\nfn 0 \"\" () -> () frame 0 header 0 import \"\\1b[2J\" \"" +
      std::string(500, 'x') + "\"";
  const std::string message = error_of({{"b", text}});
  EXPECT_NE(message.find("(\\1b[2J.xxx"), std::string::npos) << message;
  EXPECT_LT(message.size(), 400U);
}

struct BadImport {
  const char* entity;
  const char* message;
};
class LinkEntity : public ::testing::TestWithParam<BadImport> {};
TEST_P(LinkEntity, IsChecked) {
  const std::string text = std::string("member 0 \"\"\n") + GetParam().entity;
  EXPECT_EQ(error_of({{"lib", library}, {"app", text}}), GetParam().message);
}
const BadImport bad_imports[] = {
    {"memory 0 min 3 max 4 import \"lib\" \"memory\"", "linked"},
    {"memory 0 min 0 import \"lib\" \"memory\"", "linked"},
    {"memory 0 min 0 max 4 import \"lib\" \"memory\"", "linked"},
    {"memory 0 min 0 max 3 import \"lib\" \"memory\"",
     "Import (lib.memory) wants a memory of type 0 to 3 pages, but (lib) exports one of type 1 to "
     "4 pages."},
    {"memory 0 min 0 import \"lib\" \"table\"",
     "Import (lib.table) wants a memory of type at least 0 pages, but (lib) exports a table of "
     "that name."},
    {"memory 0 min 0 import \"env\" \"memory\"",
     "Import (env.memory), a memory of type at least 0 pages, is unknown: no earlier module is "
     "named so."},
    {"table 0 funcref min 5 max 9 import \"lib\" \"table\"", "linked"},
    {"table 0 funcref min 5 max 7 import \"lib\" \"table\"",
     "Import (lib.table) wants a table of type 5 to 7 elements of funcref, but (lib) exports one "
     "of type 2 to 8 elements of funcref."},
    {"table 0 externref min 0 import \"lib\" \"table\"",
     "Import (lib.table) wants a table of type at least 0 elements of externref, but (lib) exports "
     "one of type 2 to 8 elements of funcref."},
    {"global 0 i32 import \"lib\" \"limit\"", "linked"},
    {"global 0 i32 mutable import \"lib\" \"limit\"",
     "Import (lib.limit) wants a global of type mutable i32, but (lib) exports one of type i32."},
    {"global 0 i64 import \"lib\" \"counter\"",
     "Import (lib.counter) wants a global of type i64, but (lib) exports one of type mutable i64."},
    {"global 0 i64 import \"lib\" \"limit\"",
     "Import (lib.limit) wants a global of type i64, but (lib) exports one of type i32."},
    {"global 0 i64 import \"lib\" \"nothing\"",
     "Import (lib.nothing), a global of type i64, is unknown: (lib) exports no such name."},
};
INSTANTIATE_TEST_SUITE_P(All, LinkEntity, ::testing::ValuesIn(bad_imports));

TEST(LinkErrors, UnboundedMemoryForABoundedImport) {
  constexpr std::string_view provider = "member 0 \"\"\nexport \"m\" memory 0\nmemory 0 min 1";
  constexpr std::string_view importer =
      "member 0 \"\"\nmemory 0 min 1 max 65536 import \"a\" \"m\"";
  EXPECT_EQ(error_of({{"a", provider}, {"b", importer}}),
            "Import (a.m) wants a memory of type 1 to 65536 pages, but (a) exports one of type at "
            "least 1 pages.");
}

TEST(LinkErrors, MixedMetering) {
  EXPECT_EQ(
      error_of({{"a", "module metered member 0 \"\""}, {"b", "module unmetered member 0 \"\""}}),
      "Module (b) is unmetered, but module (a) is not.");
}

TEST(LinkErrors, InputsWithoutOneMember) {
  EXPECT_EQ(error_of({{"a", ""}}), "Module (a) to link has (0) members instead of 1.");
  EXPECT_FALSE(link(std::vector<LinkInput>{{nullptr, "x"}}));
}

}  // namespace
}  // namespace warphive::ir
