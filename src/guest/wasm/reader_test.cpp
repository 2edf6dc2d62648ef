// SPDX-License-Identifier: Apache-2.0
// Sections, limits, proposals, and bytes that are no module.
#include "guest/wasm/reader.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "guest/wasm/testing/module_builder.hpp"

namespace warphive::wasm {
namespace {

using namespace testing;  // NOLINT: the builder's small words and operator+

Result<Module> read(const Bytes& bytes, const Limits& limits = {}) {
  return read_module(ModuleBuilder::as_module(bytes), limits);
}

/// Header and sections given as they are.
Bytes sections(std::initializer_list<std::pair<std::uint8_t, Bytes>> list) {
  Bytes bytes = ModuleBuilder::header();
  for (const auto& [id, contents] : list) bytes = bytes + ModuleBuilder::section(id, contents);
  return bytes;
}

void expect_error(const Bytes& bytes, ErrorCode code, ErrorPhase phase, std::string_view message,
                  const Limits& limits = {}) {
  const Result<Module> module = read(bytes, limits);
  ASSERT_FALSE(module) << "accepted, expected: " << message;
  const Error& error = module.error();
  EXPECT_EQ(error.code(), code) << error.describe();
  EXPECT_EQ(error.phase(), phase) << error.describe();
  EXPECT_NE(error.describe().find(message), std::string::npos)
      << error.describe() << "\nexpected: " << message;
  EXPECT_LE(error.offset(), bytes.size()) << error.describe();
  EXPECT_TRUE(error.message().front() >= 'A' && error.message().front() <= 'Z') << error.message();
  EXPECT_EQ(error.message().back(), '.') << error.message();
}
void expect_malformed(const Bytes& bytes, std::string_view message) {
  expect_error(bytes, ErrorCode::invalid_input, ErrorPhase::parse, message);
}
void expect_invalid(const Bytes& bytes, std::string_view message) {
  expect_error(bytes, ErrorCode::invalid_input, ErrorPhase::validate, message);
}
void expect_unsupported(const Bytes& bytes, std::string_view proposal) {
  expect_error(bytes, ErrorCode::unsupported, ErrorPhase::parse,
               "belongs to the " + std::string(proposal) + " proposal, which is not supported.");
}
void expect_beyond(const Bytes& bytes, const Limits& limits, std::string_view message) {
  expect_error(bytes, ErrorCode::limit_exceeded, ErrorPhase::parse, message, limits);
}

/// A module with everything that a module can have.
ModuleBuilder everything() {
  ModuleBuilder m;
  const auto nothing = m.type({}, {});
  const auto binary = m.type({i32, i32}, {i32});
  const auto pair = m.type({i64}, {i64, f64});
  m.import_function("env", "log", binary);
  m.import_global("env", "base", i32);
  m.import_global("env", "mutable", i64, true);
  m.import_table("env", "table", externref, limits(0));
  const auto table = m.table(funcref, limits(10, 20));
  m.memory(limits(1, 2));
  const auto add = m.function(binary, {0x20, 0, 0x20, 1, 0x6a});
  const auto two = m.function(pair, Bytes{0x20, 0, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f},
                              {{3, i32}, {0, f32}, {2, externref}});
  const auto begin = m.function(nothing, {0xfc, 9, 1, 0x01, 0xd2, 1, 0x1a});
  m.global(i32, true, Bytes{0x23, 0} + i32_const(-5) + Bytes{0x6a});
  m.global(funcref, false, {0xd2, 1});
  m.global(f32, false, {0x43, 0, 0, 0xc0, 0x7f});
  m.export_function("add", add);
  m.export_function("", two);
  m.export_memory("memory", 0);
  m.export_global("base", 0);
  m.export_table("table", table);
  m.start(begin);
  m.raw_elements(Bytes{2, 1} + i32_const(3) + Bytes{0x0b, 0} + vec({{1}, {2}}));
  m.declare({two});
  m.raw_elements(Bytes{5, funcref} + vec({{0xd0, funcref, 0x0b}, {0xd2, 3, 0x0b}}));
  m.raw_elements(Bytes{5, externref} + vec({{0xd0, externref, 0x0b}}));
  m.raw_elements(Bytes{7, funcref} + vec({{0xd2, 0, 0x0b}}));
  m.raw_elements(Bytes{1, 0} + vec({{0}}));
  m.raw_elements(Bytes{6, 0} + i32_const(0) + Bytes{0x0b, externref} + vec({}));
  m.data(Bytes{0x23, 0}, "hello");
  m.passive_data("later");
  m.raw_data(Bytes{2, 0} + i32_const(9) + Bytes{0x0b} + name(""));
  m.names("everything", {{0, "log"}, {2, "two"}});
  m.custom("other", {1, 2, 3});
  return m;
}

TEST(ReaderTest, ReadsAnEmptyModule) {
  const Result<Module> module = read(ModuleBuilder::header());
  ASSERT_TRUE(module) << module.error().describe();
  EXPECT_EQ(module->bytes.size(), 8u);
  EXPECT_TRUE(module->functions.empty());
  EXPECT_FALSE(module->start);
  EXPECT_EQ(module->operator_count, 0u);
}

TEST(ReaderTest, ReadsEverySection) {
  const Bytes bytes = everything().build();
  const Result<Module> result = read(bytes);
  ASSERT_TRUE(result) << result.error().describe();
  const Module& m = *result;
  ASSERT_EQ(m.types.size(), 3u);
  EXPECT_EQ(m.types[2], (FunctionType{{ValueType::i64}, {ValueType::i64, ValueType::f64}}));
  ASSERT_EQ(m.imports.size(), 4u);
  EXPECT_EQ(m.imports[0].module, "env");
  EXPECT_EQ(m.imports[0].field, "log");
  EXPECT_EQ(m.imports[2].kind, EntityKind::global);
  EXPECT_EQ(m.imports[2].index, 1u);
  EXPECT_EQ(m.imported_functions, 1u);
  EXPECT_EQ(m.imported_tables, 1u);
  EXPECT_EQ(m.imported_memories, 0u);
  EXPECT_EQ(m.imported_globals, 2u);
  EXPECT_EQ(m.functions, (std::vector<std::uint32_t>{1, 1, 2, 0}));
  ASSERT_EQ(m.tables.size(), 2u);
  EXPECT_EQ(m.tables[0].element, ValueType::externref);
  EXPECT_EQ(m.tables[1].limits.min, 10u);
  EXPECT_EQ(m.tables[1].limits.max, 20u);
  ASSERT_EQ(m.memories.size(), 1u);
  EXPECT_EQ(m.memories[0].limits.min, 1u);
  EXPECT_EQ(m.memories[0].limits.max, 2u);
  ASSERT_EQ(m.globals.size(), 5u);
  EXPECT_TRUE(m.globals[1].is_mutable);
  ASSERT_EQ(m.global_entries.size(), 3u);
  const ConstExpr& sum = m.global_entries[0].init;
  ASSERT_EQ(sum.size(), 3u);
  EXPECT_EQ(sum[0].kind, ConstOp::Kind::global);
  EXPECT_EQ(sum[1].kind, ConstOp::Kind::constant);
  EXPECT_EQ(sum[1].bits, 0xffff'fffbu);  // zero-extended
  EXPECT_EQ(sum[2].kind, ConstOp::Kind::add32);
  EXPECT_EQ(m.global_entries[1].init[0].kind, ConstOp::Kind::function);
  EXPECT_EQ(m.global_entries[2].init[0].bits, 0x7fc0'0000u);
  ASSERT_EQ(m.exports.size(), 5u);
  EXPECT_EQ(m.exports[1].name, "");
  EXPECT_EQ(m.exports[4].kind, EntityKind::table);
  EXPECT_EQ(m.exports[4].index, 1u);
  EXPECT_EQ(m.start, 3u);
  ASSERT_EQ(m.element_segments.size(), 7u);
  EXPECT_EQ(m.element_segments[0].mode, SegmentMode::active);
  EXPECT_EQ(m.element_segments[0].table, 1u);
  EXPECT_EQ(m.element_segments[0].start[0].bits, 3u);
  ASSERT_EQ(m.element_segments[0].items.size(), 2u);
  EXPECT_EQ(m.element_segments[0].items[1][0].bits, 2u);
  EXPECT_EQ(m.element_segments[1].mode, SegmentMode::declared);
  EXPECT_EQ(m.element_segments[2].mode, SegmentMode::passive);
  EXPECT_EQ(m.element_segments[2].items[0][0].kind, ConstOp::Kind::null);
  EXPECT_EQ(m.element_segments[3].type, ValueType::externref);
  EXPECT_EQ(m.element_segments[4].mode, SegmentMode::declared);
  EXPECT_EQ(m.element_segments[5].mode, SegmentMode::passive);
  EXPECT_EQ(m.element_segments[6].table, 0u);
  ASSERT_EQ(m.data_segments.size(), 3u);
  ASSERT_EQ(m.data_segments[0].bytes.size(), 5u);
  EXPECT_EQ(m.data_segments[0].bytes[0], std::byte{'h'});
  EXPECT_EQ(m.data_segments[1].mode, SegmentMode::passive);
  EXPECT_EQ(m.data_segments[2].mode, SegmentMode::active);
  ASSERT_EQ(m.bodies.size(), 3u);
  ASSERT_EQ(m.bodies[1].locals.size(), 3u);
  EXPECT_EQ(m.bodies[1].locals[0].count, 3u);
  EXPECT_EQ(m.bodies[1].locals[2].type, ValueType::externref);
  for (const FunctionBody& body : m.bodies) {
    EXPECT_EQ(body.code.data(), m.bytes.data() + body.offset);
    EXPECT_EQ(body.code.back(), std::byte{0x0b});
  }
  EXPECT_EQ(m.module_name, "everything");
  ASSERT_EQ(m.function_names.size(), 3u);
  EXPECT_EQ(m.function_names[0], "log");
  EXPECT_EQ(m.function_names[1], "");
  EXPECT_EQ(m.function_names[2], "two");
}

TEST(ReaderTest, SpansOutliveAMove) {
  Result<Module> result = read(everything().build());
  ASSERT_TRUE(result);
  const Module moved = std::move(*result);
  EXPECT_EQ(moved.bodies[0].code.data(), moved.bytes.data() + moved.bodies[0].offset);
  EXPECT_EQ(moved.data_segments[0].bytes[4], std::byte{'o'});
}

TEST(ReaderTest, EveryTruncationIsAnError) {
  const Bytes bytes = everything().build();
  // Whole modules are only the cuts before the function section, which needs the code section, and
  // after the data section, which the data count announces.
  std::vector<std::size_t> whole;
  for (std::size_t at = 8; at < bytes.size();) {
    const std::uint8_t id = bytes[at];
    if (id <= 3) whole.push_back(at);
    std::size_t next = at + 1, size = 0;
    for (unsigned shift = 0; next == at + 1 || (bytes[next - 1] & 0x80) != 0; shift += 7) {
      size |= static_cast<std::size_t>(bytes[next++] & 0x7f) << shift;
    }
    at = next + size;
  }
  std::vector<std::size_t> accepted;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Bytes cut = bytes;
    cut.resize(size);
    const Result<Module> module = read(cut);
    if (module) {
      accepted.push_back(size);
    } else {
      EXPECT_LE(module.error().offset(), size) << module.error().describe();
    }
  }
  EXPECT_EQ(accepted, whole);
  EXPECT_EQ(whole.size(), 5u);  // header, types, imports; data, names
}

TEST(ReaderTest, MutationsNeverCrash) {
  const Bytes bytes = everything().build();
  std::size_t accepted = 0, refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (unsigned flip = 1; flip < 256; ++flip) {
      Bytes mutant = bytes;
      mutant[i] = static_cast<std::uint8_t>(mutant[i] ^ flip);
      const Result<Module> module = read(mutant);
      ++(module ? accepted : refused);
      if (!module) {
        EXPECT_LE(module.error().offset(), mutant.size());
      }
    }
  }
  EXPECT_GT(accepted, 1000u);  // names, constants, custom sections
  EXPECT_GT(refused, accepted);
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    Bytes mutant = bytes;
    for (int k = 0; k < 4; ++k)
      mutant[random() % mutant.size()] = static_cast<std::uint8_t>(random());
    const Result<Module> module = read(mutant);
    if (!module) {
      EXPECT_LE(module.error().offset(), mutant.size());
    }
  }
}

TEST(ReaderTest, RefusesWhatIsNoModule) {
  expect_malformed({}, "it starts with (), expected (00 61 73 6d)");
  expect_malformed({0, 0x61, 0x73}, "it starts with (00 61 73)");
  expect_malformed({'(', 'm', 'o', 'd', 'u', 'l', 'e', ')'}, "it starts with (28 6d 6f 64)");
  expect_malformed({0, 0x61, 0x73, 0x6d, 1, 0, 0}, "Version is cut short");
  expect_malformed({0, 0x61, 0x73, 0x6d, 2, 0, 0, 0}, "is (2), expected (1)");
  expect_unsupported({0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0}, "component model");
}

TEST(ReaderTest, ChecksSections) {
  expect_malformed(sections({{14, {}}}), "Section identifier is (14)");
  expect_malformed(sections({{1, {0}}, {1, {0}}}), "Section (type) comes twice");
  expect_malformed(sections({{3, {0}}, {1, {0}}}), "Section (type) comes twice or after");
  expect_malformed(sections({{10, {0}}, {12, {0}}}), "Section (data count) comes twice or after");
  expect_malformed(sections({{1, {0, 0}}}), "has (1) bytes after its contents");
  expect_malformed(sections({{1, {}}}), "Type count is cut short: (0) bytes are left");
  expect_malformed(ModuleBuilder::header() + Bytes{1, 5, 0}, "size of (5) bytes, but (1) are left");
  expect_malformed(ModuleBuilder::header() + Bytes{1}, "Section size is cut short");
  expect_malformed(ModuleBuilder::header() + Bytes{1, 0x80, 0x80, 0x80, 0x80, 0x10},
                   "too large for (32) bits");
  // The order that is right: data count between element and code.
  EXPECT_TRUE(read(sections({{1, {0}},
                             {2, {0}},
                             {3, {0}},
                             {4, {0}},
                             {5, {0}},
                             {6, {0}},
                             {7, {0}},
                             {9, {0}},
                             {12, {0}},
                             {10, {0}},
                             {11, {0}}})));
}

TEST(ReaderTest, ChecksCustomSections) {
  EXPECT_TRUE(read(sections({{0, name("x")}, {1, {0}}, {0, name("x") + Bytes{9, 9}}})));
  expect_malformed(sections({{0, {}}}), "Name of a custom section is cut short");
  expect_malformed(sections({{0, {3, 'a', 'b'}}}), "has (3) bytes, but (2) are left");
  expect_malformed(sections({{0, {2, 0xc0, 0x80}}}), "is not UTF-8: (c0 80)");
}

TEST(ReaderTest, IgnoresBadNameSections) {
  for (const Bytes& contents :
       {Bytes{9}, Bytes{1, 0x80}, Bytes{1, 3, 1, 7, 0}, Bytes{1, 4, 1, 0, 5, 'a'},
        Bytes{1, 4, 1, 0, 1, 0xff}, Bytes{1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f}, Bytes{0, 9, 1}}) {
    ModuleBuilder m;
    m.function(m.type({}, {}), {});
    m.custom("name", contents);
    const Result<Module> module = read(m.build());
    ASSERT_TRUE(module) << module.error().describe();
    EXPECT_TRUE(module->function_names.empty());
  }
  ModuleBuilder m;
  m.function(m.type({}, {}), {});
  m.names("first", {{0, "a"}});
  m.names("second", {{0, "b"}});
  const Result<Module> module = read(m.build());
  ASSERT_TRUE(module);
  EXPECT_EQ(module->module_name, "first");
}

TEST(ReaderTest, ChecksTypesAndImports) {
  expect_malformed(sections({{1, {1, 0x61, 0, 0}}}), "Form of type (0) is (0x61), expected (0x60)");
  expect_malformed(sections({{1, {1, 0x60, 1, 0x40, 0}}}), "Value type is (0x40), expected (i32");
  expect_malformed(sections({{1, {0xff, 0xff, 0xff, 0xff, 0x0f}}}),
                   "Type count (4294967295) is more than the remaining (0) bytes");
  expect_invalid(sections({{2, Bytes{1} + name("m") + name("f") + Bytes{0, 0}}}),
                 "Type index (0) is unknown: there are (0).");
  expect_malformed(sections({{2, Bytes{1} + name("m") + name("f") + Bytes{5, 0}}}),
                   "Kind of an import is (5), expected (0) to (3).");
  expect_malformed(sections({{2, Bytes{1, 1, 0xff} + name("f") + Bytes{3, i32, 0}}}),
                   "Module name is not UTF-8: (ff). At byte 11 (0xb)");
  expect_malformed(sections({{2, Bytes{1} + name("m") + name("f") + Bytes{3, i32, 2}}}),
                   "Mutability of a global is (2)");
}

TEST(ReaderTest, ChecksTablesAndMemories) {
  expect_malformed(sections({{4, {1, i32, 0, 0}}}), "Reference type is (0x7f)");
  expect_invalid(sections({{4, {1, funcref, 1, 2, 1}}}), "(2) exceeds their maximum (1)");
  expect_malformed(sections({{4, {1, funcref, 2, 0, 0}}}), "Flags of limits are (2)");
  expect_invalid(sections({{5, Bytes{1} + limits(65'537)}}),
                 "(65537) pages, expected at most (65536)");
  expect_invalid(sections({{5, Bytes{1} + limits(0, 65'537)}}), "(65537) pages");
  EXPECT_TRUE(read(sections({{5, Bytes{1} + limits(65'536, 65'536)}})));
  expect_malformed(sections({{5, {1, 16, 0}}}), "Flags of limits are (16), expected (0) or (1).");
}

TEST(ReaderTest, ChecksConstantExpressions) {
  const auto with_global = [](std::uint8_t type, const Bytes& init) {
    ModuleBuilder m;
    m.import_global("m", "constant", i32);
    m.import_global("m", "variable", i32, true);
    m.global(i32, false, i32_const(1));
    m.global(type, false, init);
    return m.build();
  };
  EXPECT_TRUE(read(with_global(i32, {0x23, 0})));
  EXPECT_TRUE(
      read(with_global(i64, i64_const(5) + i64_const(6) + i64_const(7) + Bytes{0x7e, 0x7d})));
  EXPECT_TRUE(read(with_global(externref, {0xd0, externref})));
  expect_invalid(with_global(i32, {}), "gives (0) values, expected one (i32)");
  expect_invalid(with_global(i32, i32_const(1) + i32_const(2)), "gives (2) values");
  expect_invalid(with_global(i32, i64_const(1)), "has type (i64), expected (i32)");
  expect_invalid(with_global(i32, {0x23, 1}), "Global (1) in a constant expression is mutable");
  expect_invalid(with_global(i32, {0x23, 2}), "(imported ones only) (2) is unknown");
  expect_invalid(with_global(i32, i32_const(1) + Bytes{0x6a}), "Operand of i32.add is missing");
  expect_invalid(with_global(i32, i32_const(1) + i64_const(2) + Bytes{0x6a}),
                 "Operand of i32.add has type (i64), expected (i32)");
  expect_invalid(with_global(i32, i32_const(1) + Bytes{0x67}),
                 "Operator (i32.clz) is not constant");
  expect_invalid(with_global(i32, {0x01}), "Operator (nop) is not constant");
  expect_invalid(with_global(i32, {0x43, 0, 0, 0, 0, 0xfc, 0}),
                 "Operator (i32.trunc_sat_f32_s) is not constant");
  expect_invalid(with_global(funcref, {0xd2, 0}), "Function index (0) is unknown");
  expect_malformed(with_global(i32, {0xff}), "Operator (0xff) is unknown");
  expect_malformed(with_global(v128, {0xfd, 0x0c, 1, 2}), "Constant of v128.const");
  expect_invalid(with_global(v128, {0xfd, 0x4d}), "Operator (v128.not) is not constant");
  expect_invalid(with_global(i32, Bytes{0xfd, 0x0c} + Bytes(16, 0)), "has type (v128)");
  expect_unsupported(with_global(i32, {0xfb, 0x07}), "garbage collection");
}

TEST(ReaderTest, ChecksExportsAndStart) {
  ModuleBuilder twice;
  twice.memory(limits(1));
  twice.export_memory("a\n", 0);
  twice.export_memory("b", 0);
  twice.export_memory("a\n", 0);
  expect_invalid(twice.build(), "Export name (a\\x0a) is used twice");
  for (const auto& [kind, what] :
       {std::pair{0, "function"}, {1, "table"}, {2, "memory"}, {3, "global"}}) {
    expect_invalid(
        sections({{7, Bytes{1} + name("x") + Bytes{static_cast<std::uint8_t>(kind), 0}}}),
        std::string("Index of an exported ") + what + " (0) is unknown: there are (0).");
  }
  expect_malformed(sections({{7, Bytes{1} + name("x") + Bytes{9, 0}}}), "Kind of an export is (9)");
  expect_invalid(sections({{8, {0}}}), "Index of the start function (0) is unknown");
  ModuleBuilder typed;
  typed.start(typed.function(typed.type({i32}, {}), {}));
  expect_invalid(typed.build(), "Start function (0) has type ((i32) -> ()), expected (() -> ())");
}

TEST(ReaderTest, ChecksElementSegments) {
  const auto with_segment = [](const Bytes& segment) {
    ModuleBuilder m;
    m.table(funcref, limits(1));
    m.table(externref, limits(1));
    m.raw_elements(segment);
    return m.build();
  };
  expect_malformed(with_segment({8, 0, 0}), "are (8), expected (0) to (7)");
  expect_malformed(with_segment({1, 1, 0}), "Element kind is (1), expected (0)");
  expect_invalid(with_segment(Bytes{2, 2} + i32_const(0) + Bytes{0x0b, 0, 0}),
                 "Table index (2) is unknown: there are (2).");
  expect_invalid(with_segment(Bytes{2, 1} + i32_const(0) + Bytes{0x0b, 0, 0}),
                 "Element segment has type (funcref), expected (externref) as table (1) has.");
  expect_invalid(with_segment(Bytes{0} + i64_const(0) + Bytes{0x0b, 0}), "has type (i64)");
  expect_invalid(with_segment({1, 0, 1, 0}), "Function index (0) is unknown");
  expect_malformed(with_segment({5, i32, 0}), "Reference type is (0x7f)");
  expect_invalid(with_segment({5, funcref, 1, 0xd0, externref, 0x0b}),
                 "has type (externref), expected (funcref)");
  EXPECT_TRUE(read(with_segment({5, funcref, 1, 0xd0, funcref, 0x0b})));
}

TEST(ReaderTest, ChecksDataSegments) {
  const auto with_segment = [](const Bytes& segment, bool has_memory = true) {
    ModuleBuilder m;
    if (has_memory) m.memory(limits(1));
    m.raw_data(segment);
    return m.build();
  };
  expect_malformed(with_segment({3, 0}), "are (3), expected (0) to (2)");
  expect_malformed(with_segment(Bytes{0} + i32_const(0) + Bytes{0x0b, 2, 'x'}),
                   "Data segment has (2) bytes, but (1) are left");
  expect_invalid(with_segment(Bytes{0} + i32_const(0) + Bytes{0x0b, 0}, false),
                 "Memory index (0) is unknown");
  EXPECT_TRUE(read(with_segment({1, 0}, false)));
  expect_malformed(sections({{12, {1}}}), "announces (1) segments, but there is no data section");
  expect_malformed(sections({{12, {1}}, {11, {0}}}),
                   "has (0) segments, but the data count section");
  EXPECT_TRUE(read(sections({{12, {0}}})));
}

TEST(ReaderTest, ChecksTheCodeSection) {
  expect_malformed(sections({{1, {1, 0x60, 0, 0}}, {3, {1, 0}}}), "there is no code section");
  expect_malformed(sections({{1, {1, 0x60, 0, 0}}, {3, {1, 0}}, {10, {0}}}),
                   "has (0) bodies, but the function section declares (1)");
  expect_malformed(sections({{10, {1, 2, 0, 0x0b}}}), "has (1) bodies");
  const auto with_body = [](const Bytes& body) {
    ModuleBuilder m;
    m.raw_function(m.type({}, {}), body);
    return m.build();
  };
  EXPECT_TRUE(read(with_body({0, 0x0b})));
  expect_malformed(with_body({0, 0x01}), "ends with (1) open blocks, expected (end)");
  expect_malformed(with_body({0, 0x0b, 0x0b}), "goes on for (1) bytes after its last (end)");
  expect_malformed(with_body({1, 1, 0x40, 0x0b}), "Value type is (0x40)");
  expect_malformed(with_body({200, 1, 0x0b}), "Count of local declarations (200) is more than");
  expect_malformed(with_body({}), "Count of local declarations is cut short");
  expect_malformed(sections({{1, {1, 0x60, 0, 0}}, {3, {1, 0}}, {10, {1, 9, 0, 0x0b}}}),
                   "Function body has (9) bytes, but (2) are left");
}

TEST(ReaderTest, NamesTheFunctionInErrors) {
  ModuleBuilder m;
  const auto type = m.type({}, {i32});
  m.import_function("m", "f", type);
  m.function(type, i32_const(1));
  const auto bad = m.function(type, Bytes{0x01} + i64_const(1));
  const Bytes plain = m.build();
  expect_invalid(plain,
                 "phase validate. While validating function 2. While reading the code section.");
  m.export_function("exported", bad);
  expect_invalid(m.build(), "While validating function 2 (exported).");
  m.names("module", {{bad, "named"}});
  expect_invalid(m.build(), "While validating function 2 (named).");
  // The offset is that of the operator which failed: the last byte.
  EXPECT_EQ(read(plain).error().offset(), plain.size() - 1);
}

// Each proposal is refused by its name, at the byte that needs it.

TEST(ReaderTest, RefusesProposalsInSections) {
  for (const std::uint8_t form : Bytes{0x4e, 0x4f, 0x50, 0x5e, 0x5f}) {
    expect_unsupported(sections({{1, {1, form, 0, 0}}}), "garbage collection");
  }
  expect_unsupported(sections({{1, {1, 0x60, 1, 0x63, 0}}}), "typed function references");
  expect_unsupported(sections({{1, {1, 0x60, 1, 0x64, 0}}}), "typed function references");
  expect_unsupported(sections({{1, {1, 0x60, 1, 0x69, 0}}}), "exception handling");
  expect_unsupported(sections({{1, {1, 0x60, 1, 0x6e, 0}}}), "garbage collection");
  expect_unsupported(sections({{2, Bytes{1} + name("m") + name("t") + Bytes{4, 0, 0}}}),
                     "exception handling");
  expect_unsupported(sections({{4, {1, 0x40, 0, funcref, 0, 0, 0xd0, funcref, 0x0b}}}),
                     "typed function references");
  expect_unsupported(sections({{4, {1, funcref, 4, 0}}}), "memory64");
  expect_unsupported(sections({{5, {1, 3, 0, 1}}}), "threads");
  expect_unsupported(sections({{5, {1, 4, 0}}}), "memory64");
  expect_unsupported(sections({{5, {1, 5, 0, 1}}}), "memory64");
  expect_unsupported(sections({{5, {2, 0, 0, 0, 0}}}), "multi-memory");
  expect_unsupported(
      sections({{2, Bytes{1} + name("m") + name("m") + Bytes{2, 0, 0}}, {5, {1, 0, 0}}}),
      "multi-memory");
  expect_unsupported(sections({{5, {1, 0, 0}}, {11, {1, 2, 1, 0x41, 0, 0x0b, 0}}}), "multi-memory");
  expect_unsupported(sections({{5, {1, 0, 0}}, {13, {1, 0, 0}}}), "exception handling");
  expect_unsupported(sections({{7, Bytes{1} + name("t") + Bytes{4, 0}}}), "exception handling");
}

TEST(ReaderTest, RefusesProposalsInCode) {
  const auto with_code = [](const Bytes& code) {
    ModuleBuilder m;
    m.memory(limits(1));
    m.function(m.type({}, {}), code);
    return m.build();
  };
  const std::pair<Bytes, std::string_view> cases[] = {
      {{0xfd, 0x80, 0x02}, "relaxed SIMD"},
      {{0xfe, 0x03, 0}, "threads"},
      {{0x06, 0x40, 0x0b}, "exception handling"},
      {{0x08, 0}, "exception handling"},
      {{0x09, 0}, "exception handling"},
      {{0x0a}, "exception handling"},
      {{0x1f, 0x40, 0, 0x0b}, "exception handling"},
      {{0x14, 0}, "typed function references"},
      {{0x15, 0}, "typed function references"},
      {{0xd4}, "typed function references"},
      {{0xd5, 0}, "typed function references"},
      {{0xd3}, "garbage collection"},
      {{0xfb, 0}, "garbage collection"},
      {{0x02, 0x63, 0x70, 0x0b}, "typed function references"},
      {{0xd0, 0x6e}, "garbage collection"},
      {{0xfc, 19}, "wide arithmetic"},
      {{0xe0, 0}, "stack switching"},
      {{0x3f, 1}, "multi-memory"},
      {{0x41, 0, 0x40, 1}, "multi-memory"},
      {{0xfc, 11, 1}, "multi-memory"},
      {{0xfc, 10, 0, 1}, "multi-memory"},
  };
  for (const auto& [code, proposal] : cases) expect_unsupported(with_code(code), proposal);
  // The byte offset is the operator's.
  const Bytes module = with_code({0x01, 0xfe, 0x03});
  EXPECT_EQ(read(module).error().offset(), module.size() - 3);
}

// Limits: each at its value is accepted, one above refused.

TEST(ReaderTest, LimitsCounts) {
  const Bytes module = everything().build();
  const auto check = [&](std::uint32_t Limits::* field, std::uint32_t enough,
                         std::string_view message) {
    Limits limits;
    limits.*field = enough;
    const Result<Module> accepted = read(module, limits);
    EXPECT_TRUE(accepted) << message << accepted.error().describe();
    limits.*field = enough - 1;
    expect_beyond(module, limits, message);
  };
  check(&Limits::types, 3, "Type count (3) exceeds the limit (2).");
  check(&Limits::functions, 4, "Function count (4) exceeds the limit (3).");
  check(&Limits::imports, 4, "Import count (4) exceeds the limit (3).");
  check(&Limits::exports, 5, "Export count (5) exceeds the limit (4).");
  check(&Limits::globals, 5, "Global count (5) exceeds the limit (4).");
  check(&Limits::tables, 2, "Table count (2) exceeds the limit (1).");
  check(&Limits::table_elements, 10,
        "Minimum size of all tables together (10) exceeds the limit (9).");
  check(&Limits::data_segments, 3, "Data segment count (3) exceeds the limit (2).");
  check(&Limits::element_segments, 7, "Element segment count (7) exceeds the limit (6).");
  check(&Limits::params, 2, "Parameter count (2) exceeds the limit (1).");
  check(&Limits::results, 2, "Result count (2) exceeds the limit (1).");
  check(&Limits::locals, 6, "Count of parameters and locals (6) exceeds the limit (5).");
  check(&Limits::function_bytes, 19, "Size of a function body (19) exceeds the limit (18).");
  check(&Limits::name_bytes, 7, "Field name, bytes (7) exceeds the limit (6).");
  check(&Limits::operands, 2, "Height of the operand stack (2) exceeds the limit (1).");
  Limits limits;
  limits.module_bytes = module.size();
  EXPECT_TRUE(read(module, limits));
  limits.module_bytes = module.size() - 1;
  expect_beyond(module, limits, "Module size in bytes");
}

TEST(ReaderTest, LimitsImportsOfEachKind) {
  ModuleBuilder m;
  m.import_function("m", "f", m.type({}, {}));
  m.import_table("m", "t", funcref, limits(0));
  m.import_global("m", "g", i32);
  expect_beyond(m.build(), {.functions = 0}, "Function count (1) exceeds the limit (0).");
  expect_beyond(m.build(), {.globals = 0}, "Global count (1) exceeds the limit (0).");
  expect_beyond(m.build(), {.tables = 0}, "Table count (1) exceeds the limit (0).");
}

TEST(ReaderTest, LimitsElementsOfAllSegments) {
  ModuleBuilder m;
  const auto f = m.function(m.type({}, {}), {});
  for (int i = 0; i < 3; ++i) m.declare({f, f});
  EXPECT_TRUE(read(m.build(), {.table_elements = 6}));
  expect_beyond(m.build(), {.table_elements = 5},
                "Count of elements in all segments (6) exceeds the limit (5).");
}

// A hundred tables, each within the limit, would make an instance of gigabytes.
TEST(ReaderTest, LimitsTheSizesOfAllTables) {
  ModuleBuilder m;
  m.import_table("m", "t", funcref, limits(1));
  for (int i = 0; i < 3; ++i) m.table(funcref, limits(3));
  EXPECT_TRUE(read(m.build(), {.table_elements = 10}));
  expect_beyond(m.build(), {.table_elements = 9},
                "Minimum size of all tables together (10) exceeds the limit (9).");
}

TEST(ReaderTest, LimitsNestingAndBranchTables) {
  ModuleBuilder nested;
  nested.function(nested.type({}, {}), {0x02, empty, 0x03, empty, 0x02, empty, 0x0b, 0x0b, 0x0b});
  EXPECT_TRUE(read(nested.build(), {.nesting = 3}));
  expect_beyond(nested.build(), {.nesting = 2},
                "Nesting depth of blocks (3) exceeds the limit (2).");
  ModuleBuilder table;
  table.function(table.type({}, {}), i32_const(0) + Bytes{0x0e, 3, 0, 0, 0, 0});
  EXPECT_TRUE(read(table.build(), {.br_table_targets = 3}));
  expect_beyond(table.build(), {.br_table_targets = 2},
                "Target count of br_table (3) exceeds the limit (2).");
}

TEST(ReaderTest, SurvivesDeepNesting) {
  ModuleBuilder m;
  constexpr std::uint32_t depth = 100'000;
  Bytes code;
  for (std::uint32_t i = 0; i < depth; ++i) code.insert(code.end(), {0x02, empty});
  code.insert(code.end(), depth, 0x0b);
  m.function(m.type({}, {}), code);
  const Bytes module = m.build();
  EXPECT_TRUE(read(module, {.nesting = depth}));
  expect_beyond(module, {}, "Nesting depth of blocks (10001) exceeds the limit (10000).");
}

// Two bytes that move a thousand values each: megabytes of them would take minutes.
TEST(ReaderTest, LimitsWhatIsPassedOn) {
  constexpr std::string_view message =
      "Number of operands that blocks, branches and calls pass on (";
  const auto with = [](std::size_t operators, const Bytes& code) {
    ModuleBuilder m;
    const auto many = m.type(Bytes(1000, i32), Bytes(1000, i32));
    EXPECT_EQ(many, 0u);
    Bytes body;
    for (int i = 0; i < 1000; ++i) body = body + i32_const(0);
    for (std::size_t i = 0; i < operators; ++i) body.insert(body.end(), code.begin(), code.end());
    m.function(m.type({}, {}), body + Bytes{0x00});
    return m.build();
  };
  for (const Bytes& code : {Bytes{0x02, 0, 0x0b}, Bytes{0x03, 0, 0x0b}}) {
    EXPECT_TRUE(read(with(1000, code)));
    expect_beyond(with(20'000, code), {}, message);
  }
  // Nothing is there in unreachable code, and it takes the same time.
  expect_beyond(with(20'000, {0x00, 0x02, 0, 0x0b}), {}, message);
}

TEST(ReaderTest, AllocatesNothingByUncheckedCounts) {
  // Four billion of each in a few bytes: refused before any memory is reserved for them.
  const Bytes huge = {0xff, 0xff, 0xff, 0xff, 0x0f};
  for (const std::uint8_t id : Bytes{1, 2, 3, 4, 5, 6, 7, 9, 10, 11}) {
    expect_malformed(sections({{id, huge}}), "(4294967295) is more than the remaining (0) bytes");
  }
  expect_malformed(sections({{1, Bytes{1, 0x60} + huge}}), "Parameter count (4294967295)");
  expect_beyond(sections({{12, huge}}), {}, "Data segment count (4294967295) exceeds");
  ModuleBuilder locals;
  locals.raw_function(locals.type({}, {}), Bytes{1} + huge + Bytes{i32, 0x0b});
  expect_beyond(locals.build(), {}, "Count of parameters and locals (4294967295)");
  ModuleBuilder targets;
  targets.function(targets.type({}, {}), i32_const(0) + Bytes{0x0e} + huge);
  expect_malformed(targets.build(), "Target count of br_table (4294967295) does not fit");
}

}  // namespace
}  // namespace warphive::wasm
