// SPDX-License-Identifier: Apache-2.0
// Results as CSV: a header, then a row per instance; fields that an instance does not have are
// empty.

#include "base/append.hpp"
#include "tools/format.hpp"
#include "tools/report.hpp"
#include "tools/values.hpp"

namespace warphive::tools {

namespace {

void append_row(std::string& to, const Report& report, MemoryView& memory, std::uint64_t i) {
  const InstanceResult result = report.results[i];
  base::append(to, "{},{},", result.ordinal, to_string(result.exit));
  if (result.exit == Exit::trapped) to += to_string(result.trap);
  to += ',';
  if (result.exit == Exit::exited) base::append(to, "{}", result.exit_code);
  to += ',';
  if (result.instructions) base::append(to, "{}", *result.instructions);
  for (std::size_t k = 0; k < report.value_count; ++k) {
    to += ',';
    if (k < result.values.size()) append_value(to, result.values[k]);
  }
  to += ',';
  if (!report.options.stdout_path) append_csv_field(to, printable(result.out, result.truncated));
  to += ',';
  append_csv_field(to, printable(result.err, result.truncated));
  base::append(to, ",{}", result.truncated);
  if (report.options.read_memory) {
    to += ',';
    if (const auto bytes = memory.bytes(i)) to += base64(*bytes);
  }
  if (const auto hash = memory.hash(i)) base::append(to, ",{:016x}", *hash);
  to += '\n';
}

}  // namespace

void write_csv(const Report& report, Output& output) {
  std::string& text = output.text();
  const Selection selection = report.options.selection();
  if (selection.kind == Selection::Kind::hash) {
    base::append(text, "result_hash\n{:016x}\n", report.results.hash());
  } else if (selection.kind != Selection::Kind::none) {
    text += "id,exit,trap,exit_code,instructions";
    for (std::size_t k = 0; k < report.value_count; ++k) {
      base::append(text, ",value{}", k);
    }
    text += ",stdout,stderr,truncated";
    if (report.options.read_memory) text += ",memory";
    if (report.options.memory_hash) text += ",memory_hash";
    text += '\n';
    MemoryView memory(report);
    const std::uint64_t shown = selection.shown(report.instances());
    for (std::uint64_t i = 0; i < shown; ++i) {
      append_row(text, report, memory, i);
      output.flush_if_large();
    }
  }
  output.flush();
}

}  // namespace warphive::tools
