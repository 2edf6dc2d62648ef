// SPDX-License-Identifier: Apache-2.0
// The report as JSON, schema 1. Results are written one by one: a million of them never are in
// memory together.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/append.hpp"
#include "tools/format.hpp"
#include "tools/report.hpp"
#include "tools/values.hpp"

namespace warphive::tools {

namespace {

using Json = nlohmann::ordered_json;

Json head(const Report& report) {
  const Tally& tally = report.tally;
  Json exits = Json::object();
  for (std::size_t i = 0; i < tally.exits.size(); ++i) {
    if (tally.exits[i] != 0) exits[std::string(to_string(static_cast<Exit>(i)))] = tally.exits[i];
  }
  Json traps = Json::object();
  for (std::size_t i = 0; i < tally.traps.size(); ++i) {
    if (tally.traps[i] != 0)
      traps[std::string(to_string(static_cast<TrapKind>(i)))] = tally.traps[i];
  }
  const Seconds& seconds = report.seconds;
  const bool metered = report.options.metered;
  const std::uint64_t instructions = metered ? report.results.instructions() : 0;

  Json json;
  json["schema"] = 1;
  json["file"] = report.options.file;
  json["signature"] = report.signature;
  json["device"] = report.device;
  json["tier"] = report.tier;
  json["compiled"] = {{"state", report.compiled.state},
                      {"functions", report.compiled.functions},
                      {"interpreted", report.compiled.interpreted},
                      {"variants", report.compiled.variants},
                      {"seconds", report.compiled.seconds},
                      {"from_cache", report.compiled.from_cache}};
  json["deterministic"] = report.deterministic;
  json["instances"] = report.instances();
  json["memory_pages"] = report.memory_pages;
  json["exits"] = std::move(exits);
  json["returned"] = tally.count(Exit::returned);
  json["trapped"] = std::move(traps);
  json["fuel_exhausted"] = tally.count(Exit::out_of_fuel);
  json["parked"] = tally.count(Exit::parked);
  json["grow_refused"] = tally.grow_refused;
  json["instructions"] = metered ? Json(instructions) : Json();
  json["seconds"] = {{"load", seconds.load},       {"compile", seconds.compile},
                     {"spawn", seconds.spawn},     {"run", seconds.run},
                     {"harvest", seconds.harvest}, {"total", seconds.total}};
  json["instructions_per_second"] = metered ? Json(report.per_second(instructions)) : Json();
  json["instances_per_second"] = report.per_second(report.instances());
  json["result_hash"] = fmt::format("{:016x}", report.results.hash());
  return json;
}

void append_member(std::string& to, std::string_view name, std::string_view text) {
  base::append(to, R"(,"{}":)", name);
  append_json_string(to, text);
}

void append_trap(std::string& to, const Report& report, std::uint64_t i) {
  base::append(to, R"(,"trap":{{"kind":"{}")", to_string(report.results[i].trap));
  if (const std::optional<TrapSite> site = report.results.trap_site(i)) {
    if (site->function) {
      base::append(to, R"(,"function":{{"index":{})", *site->function);
      if (!site->function_name.empty()) append_member(to, "name", site->function_name);
      to += '}';
    }
    base::append(to, R"(,"offset":{})", site->offset);
  }
  to += '}';
}

void append_result(std::string& to, const Report& report, MemoryView& memory, std::uint64_t i) {
  const InstanceResult result = report.results[i];
  base::append(to, R"({{"id":{},"exit":"{}")", result.ordinal, to_string(result.exit));
  if (result.exit == Exit::returned) {
    to += R"(,"values":[)";
    for (std::size_t k = 0; k < result.values.size(); ++k) {
      if (k != 0) to += ',';
      append_json_value(to, result.values[k]);
    }
    to += ']';
  }
  if (result.instructions) base::append(to, R"(,"instructions":{})", *result.instructions);
  if (result.exit == Exit::exited) base::append(to, R"(,"exit_code":{})", result.exit_code);
  if (report.shows_output()) {
    // A program's output is always there, a function's only if it wrote any.
    const bool program = !report.options.invoke;
    const bool shows_out = !report.options.stdout_path && (program || !result.out.empty());
    const bool shows_err = program || !result.err.empty();
    if (shows_out) append_member(to, "stdout", printable(result.out, result.truncated));
    if (shows_err) append_member(to, "stderr", printable(result.err, result.truncated));
    if (shows_out || shows_err || result.truncated) {
      base::append(to, R"(,"truncated":{})", result.truncated);
    }
  }
  if (const auto bytes = memory.bytes(i)) append_member(to, "memory", base64(*bytes));
  if (const auto hash = memory.hash(i)) base::append(to, R"(,"memory_hash":"{:016x}")", *hash);
  if (result.exit == Exit::trapped) append_trap(to, report, i);
  to += '}';
}

}  // namespace

void write_json(const Report& report, Output& output) {
  std::string& text = output.text();
  text += head(report).dump(-1, ' ', false, Json::error_handler_t::replace);
  text.back() = ',';  // for the closing brace
  text += R"("results":[)";
  MemoryView memory(report);
  const std::uint64_t shown = report.options.selection().shown(report.instances());
  for (std::uint64_t i = 0; i < shown; ++i) {
    if (i != 0) text += ',';
    text += '\n';
    append_result(text, report, memory, i);
    output.flush_if_large();
  }
  text += "]}\n";
  output.flush();
}

}  // namespace warphive::tools
