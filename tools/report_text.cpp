// SPDX-License-Identifier: Apache-2.0
// Results and summary for people.
#include <fmt/format.h>

#include <string>

#include "base/append.hpp"
#include "tools/failure.hpp"
#include "tools/format.hpp"
#include "tools/report.hpp"
#include "tools/values.hpp"

namespace warphive::tools {

namespace {

/// Guest output, with the instance's id before each line where there are several.
void append_guest_output(std::string& to, const Report& report, std::uint64_t id,
                         std::string_view text) {
  if (report.instances() == 1) {
    to += text;
    return;
  }
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    base::append(to, "[{}] ", id);
    to += text.substr(0, end);
    to += '\n';
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
}

void append_values(std::string& to, const Report& report, MemoryView& memory, std::uint64_t i) {
  const InstanceResult result = report.results[i];
  const std::size_t start = to.size();
  const auto separate = [&] {
    if (to.size() != start) to += ' ';
  };
  for (const Value& value : result.values) {
    separate();
    append_value(to, value);
  }
  if (const auto bytes = memory.bytes(i)) {
    separate();
    to += base64(*bytes);
  }
  if (const auto hash = memory.hash(i)) {
    separate();
    base::append(to, "{:016x}", *hash);
  }
  const RunOptions& options = report.options;
  const bool has_columns = report.value_count != 0 || options.read_memory || options.memory_hash;
  // Of several instances each has its line, so that line numbers stay ids.
  if (has_columns && (to.size() != start || report.instances() > 1)) to += '\n';
}

/// "The instance" or "3 of 10 instances".
std::string share(const Report& report, std::uint64_t count) {
  return report.instances() == 1
             ? "The instance"
             : fmt::format("{} of {}", grouped(count), counted(report.instances(), "instance"));
}

}  // namespace

void write_text(const Report& report, Output& output) {
  std::string& text = output.text();
  const Selection selection = report.options.selection();
  if (selection.kind == Selection::Kind::hash) {
    base::append(text, "{:016x}\n", report.results.hash());
  }
  MemoryView memory(report);
  Output errors(stderr);
  const bool program = !report.options.invoke;
  const std::uint64_t shown = selection.shown(report.instances());
  for (std::uint64_t i = 0; i < shown; ++i) {
    const InstanceResult result = report.results[i];
    if (report.shows_output()) {
      if (!report.options.stdout_path) {
        append_guest_output(program ? text : errors.text(), report, result.ordinal, result.out);
      }
      append_guest_output(errors.text(), report, result.ordinal, result.err);
    }
    append_values(text, report, memory, i);
    output.flush_if_large();
    errors.flush_if_large();
  }
  output.flush();
  errors.flush();
}

void write_failures(const Report& report) {
  const Tally& tally = report.tally;
  const auto say = [](const std::string& sentence) {
    print_error(fmt::format("warphive: {}\n", sentence));
  };
  const auto first_of = [&](Exit exit) { return tally.first[static_cast<std::size_t>(exit)]; };
  if (const std::uint64_t count = tally.count(Exit::device_lost)) {
    say(share(report, count) + " did not end: the device was lost.");
  }
  if (const std::uint64_t count = tally.count(Exit::trapped)) {
    const std::uint64_t i = first_of(Exit::trapped);
    std::string text = share(report, count) + " trapped";
    text += report.instances() == 1
                ? ": "
                : fmt::format(", the first ({}) with ", report.results[i].ordinal);
    text += describe_trap(report, i);
    if (report.results[i].trap == TrapKind::stack_overflow) {
      text += "; --stack-slots and --max-depth raise the limits";
    }
    say(text + ".");
  }
  if (const std::uint64_t count = tally.count(Exit::out_of_fuel)) {
    say(fmt::format("{} ran out of fuel ({}); --fuel raises the limit.", share(report, count),
                    report.options.fuel.value_or(unlimited_fuel)));
  }
  if (const std::uint64_t count = tally.count(Exit::cancelled)) {
    say(share(report, count) + (report.timed_out
                                    ? fmt::format(" did not end within the timeout ({} s).",
                                                  report.options.timeout.value_or(0))
                                    : " did not end: the run was cancelled."));
  }
  if (const std::uint64_t count = tally.count(Exit::parked)) {
    say(share(report, count) + " did not end: waiting for a host call" +
        (report.timed_out
             ? fmt::format(" at the timeout ({} s).", report.options.timeout.value_or(0))
             : std::string(".")));
  }
  if (const std::uint64_t count = tally.count(Exit::ready)) {
    say(share(report, count) + " did not start: the run was cancelled.");
  }
  if (const std::uint64_t count = tally.count(Exit::internal)) {
    say(share(report, count) + " did not end: an internal error of warphive was contained.");
  }
  if (report.instances() > 1 && tally.nonzero_codes != 0) {
    const std::uint64_t i = tally.first_nonzero;
    const InstanceResult result = report.results[i];
    say(fmt::format("{} exited with a code other than 0, the first ({}) with {}.",
                    share(report, tally.nonzero_codes), result.ordinal, result.exit_code));
  }
  if (tally.truncated != 0) {
    say(fmt::format("Output of {} was cut off at {}; --output-bytes raises the limit.",
                    counted(tally.truncated, "instance"),
                    counted(report.options.spawn.output_bytes, "byte")));
  }
}

void append_tier(std::string& text, const TierStatus& tier) {
  text += fmt::format("compiled code: {}", tier.state);
  if (!tier.failure.empty()) text += fmt::format(" ({})", tier.failure);
  if (tier.compiled) {
    text += fmt::format(", {}, {} interpreted, {}, {} in {}", counted(tier.functions, "function"),
                        grouped(tier.interpreted), counted(tier.variants, "variant"),
                        tier.from_cache ? "loaded" : "made", duration(tier.seconds));
  }
  text += '\n';
  constexpr std::size_t shown = 10;
  for (std::size_t i = 0; i < tier.reasons.size() && i < shown; ++i) {
    text += fmt::format("  {}\n", tier.reasons[i]);
  }
  if (tier.reasons.size() > shown) {
    text += fmt::format("  and {} more\n", grouped(tier.reasons.size() - shown));
  }
}

void write_summary(const Report& report) {
  const Tally& tally = report.tally;
  std::string text = fmt::format("{} on {} ({}): ", counted(report.instances(), "instance"),
                                 report.device, report.tier);
  bool first = true;
  const auto item = [&](std::string_view name, std::uint64_t count) {
    if (count == 0) return;
    text += fmt::format("{}{} {}", first ? "" : ", ", grouped(count), name);
    first = false;
  };
  for (std::size_t i = 0; i < tally.exits.size(); ++i) {
    item(to_string(static_cast<Exit>(i)), tally.exits[i]);
  }
  text += '\n';
  if (tally.count(Exit::trapped) != 0) {
    text += "traps: ";
    first = true;
    for (std::size_t i = 0; i < tally.traps.size(); ++i) {
      item(to_string(static_cast<TrapKind>(i)), tally.traps[i]);
    }
    text += '\n';
  }
  if (report.options.metered) {
    const std::uint64_t instructions = report.results.instructions();
    text += fmt::format("{}, {}/s, ", counted(instructions, "instruction"),
                        scaled(report.per_second(instructions)));
  }
  text += fmt::format("{} instances/s\n", scaled(report.per_second(report.instances())));
  const Seconds& seconds = report.seconds;
  text += fmt::format("time: load {}, compile {}, spawn {}, run {}, harvest {}, total {}\n",
                      duration(seconds.load), duration(seconds.compile), duration(seconds.spawn),
                      duration(seconds.run), duration(seconds.harvest), duration(seconds.total));
  text += fmt::format("result hash {:016x}{}\n", report.results.hash(),
                      report.deterministic ? "" : ", not deterministic (--clock host)");
  if (report.options.verbose) append_tier(text, report.compiled);
  if (tally.grow_refused != 0) {
    text +=
        fmt::format("memory.grow was refused {} by the capacity of {}; --memory-pages raises it.\n",
                    counted(tally.grow_refused, "time"), counted(report.memory_pages, "page"));
  }
  const Selection selection = report.options.selection();
  const std::uint64_t shown = selection.shown(report.instances());
  if (!report.options.results && shown < report.instances()) {
    text += fmt::format("shown: the first {} instances; --results all shows all.\n", shown);
  }
  print_error(text);
}

}  // namespace warphive::tools
