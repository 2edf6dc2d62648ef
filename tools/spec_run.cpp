// SPDX-License-Identifier: Apache-2.0
#include "tools/spec_run.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/result.hpp"
#include "tools/failure.hpp"
#include "tools/spec_plan.hpp"

namespace warphive::tools::spec {
namespace {

constexpr std::array<std::string_view, abi::trap_count> trap_texts = {
    "",
    "unreachable",
    "out of bounds memory access",
    "out of bounds table access",
    "integer divide by zero",
    "integer overflow",
    "invalid conversion to integer",
    "undefined element",
    "uninitialized element",
    "indirect call type mismatch",
    "call stack exhausted",
    "incompatible import type",
    "host function",
};

/// The suite shortens messages in some places and adds an index in others.
bool text_matches(std::string_view wanted, abi::TrapKind kind) {
  const std::string_view text = trap_texts[static_cast<std::size_t>(kind)];
  return !wanted.empty() && (wanted.starts_with(text) || text.starts_with(wanted));
}

std::string describe(const Outcome& outcome) {
  if (outcome.exit == abi::Exit::trapped) {
    return fmt::format("the trap ({})", abi::to_string(outcome.trap));
  }
  return fmt::format("the exit ({})", abi::to_string(outcome.exit));
}

std::string describe(const Command& command) {
  const Action& action = command.action;
  if (action.is_get) return fmt::format("get \"{}\"", action.field);
  return fmt::format("invoke \"{}\" {}", action.field, to_string(action.args));
}

class Runner {
 public:
  Runner(const Script& script, MakeExecutor make_executor)
      : script_(script), plan_(make_plan(script)) {
    program_ = plan_.program;
    executor_ = or_fail(make_executor(std::move(plan_.program)), script.source);
    // The member that no command names.
    const Outcome outcome = or_fail(instantiate(0), "spectest");
    if (outcome.exit != abi::Exit::returned)
      fail_host("The module spectest cannot be instantiated.");
  }

  std::vector<Report> run() {
    std::vector<Report> reports;
    for (std::size_t i = 0; i < script_.commands.size(); ++i) {
      const Command& command = script_.commands[i];
      const Step& step = plan_.steps[i];
      Report report = {&command, Verdict::passed, {}};
      if (step.verdict) {
        report.verdict = *step.verdict;
        report.detail = step.detail;
      } else if (step.target.kind == Target::Kind::skipped) {
        report.verdict = Verdict::skipped;
        report.detail = step.target.reason;
      } else if (step.target.kind != Target::Kind::member) {
        report.verdict = Verdict::failed;
        report.detail = step.target.kind == Target::Kind::failed ? step.target.reason
                                                                 : "There is no module yet.";
      } else {
        report.detail = run_command(command, step.target.member);
        if (!report.detail.empty()) report.verdict = Verdict::failed;
      }
      reports.push_back(std::move(report));
    }
    return reports;
  }

 private:
  Result<Outcome> instantiate(std::uint32_t member) {
    return executor_->instantiate(program_.members[member]);
  }

  /// The empty text, or what is wrong.
  std::string run_command(const Command& command, std::uint32_t member) {
    switch (command.kind) {
      case CommandKind::register_as:
        return {};
      case CommandKind::module: {
        const Result<Outcome> outcome = instantiate(member);
        if (!outcome) return outcome.error().describe();
        if (outcome->exit == abi::Exit::returned) return {};
        return fmt::format("Instantiation ended with {}.", describe(*outcome));
      }
      case CommandKind::assert_uninstantiable:
        return expect_trap(command, instantiate(member));
      case CommandKind::assert_unlinkable: {
        const Result<Outcome> outcome = instantiate(member);
        if (!outcome) return outcome.error().describe();
        if (outcome->exit == abi::Exit::trapped && outcome->trap == abi::TrapKind::import_limits) {
          return {};
        }
        return fmt::format("Expected the link to fail with ({}), got {}.", command.text,
                           describe(*outcome));
      }
      case CommandKind::assert_trap:
      case CommandKind::assert_exhaustion: {
        std::vector<ir::ValueType> types;
        return expect_trap(command, act(command.action, member, types));
      }
      case CommandKind::action: {
        std::vector<ir::ValueType> types;
        const Result<Outcome> outcome = act(command.action, member, types);
        if (!outcome) return outcome.error().describe();
        if (outcome->exit == abi::Exit::returned) return {};
        return fmt::format("{}: got {}.", describe(command), describe(*outcome));
      }
      case CommandKind::assert_return:
        return expect_values(command, member);
      default:
        return "The command cannot be run.";
    }
  }

  static std::string expect_trap(const Command& command, const Result<Outcome>& outcome) {
    if (!outcome) return outcome.error().describe();
    if (outcome->exit == abi::Exit::trapped && text_matches(command.text, outcome->trap)) return {};
    return fmt::format("{}: expected the trap ({}), got {}.",
                       command.action.field.empty() ? "instantiation" : describe(command),
                       command.text, describe(*outcome));
  }

  std::string expect_values(const Command& command, std::uint32_t member) {
    std::vector<ir::ValueType> types;
    const Result<Outcome> outcome = act(command.action, member, types);
    if (!outcome) return outcome.error().describe();
    if (outcome->exit != abi::Exit::returned) {
      return fmt::format("{}: expected {}, got {}.", describe(command), to_string(command.expected),
                         describe(*outcome));
    }
    std::span<const std::uint64_t> left = outcome->values;
    bool equal = types.size() == command.expected.size();
    std::vector<Value> got;
    for (std::size_t i = 0; i < types.size() && left.size() >= ir::slots(types[i]); ++i) {
      const auto slots = left.first(ir::slots(types[i]));
      left = left.subspan(slots.size());
      equal = equal && matches(command.expected[i], types[i], slots);
      got.push_back({Value::Kind::bits, types[i], slots[0], {}});
      if (slots.size() == 2) {
        got.back().kind = Value::Kind::lanes;
        for (const std::uint64_t slot : slots) {
          got.back().lanes.push_back({Value::Kind::bits, ir::ValueType::i64, slot, {}});
        }
      }
    }
    if (equal && got.size() == types.size() && left.empty()) return {};
    return fmt::format("{}: expected {}, got {}.", describe(command), to_string(command.expected),
                       to_string(got));
  }

  Result<const ir::Export*> find(const Action& action, std::uint32_t member) const {
    const auto kind = action.is_get ? ir::EntityKind::global : ir::EntityKind::function;
    for (const ir::Export& entry : program_.members[member].exports) {
      if (entry.kind == kind && entry.name == action.field) return &entry;
    }
    return base::error(ErrorCode::not_found, ErrorPhase::dispatch, "There is no export ({}).",
                       action.field);
  }

  Result<Outcome> act(const Action& action, std::uint32_t member,
                      std::vector<ir::ValueType>& result_types) {
    WARPHIVE_TRY_ASSIGN(const ir::Export* entry, find(action, member));
    if (action.is_get) {
      WARPHIVE_TRY_ASSIGN(std::vector<std::uint64_t> slots, executor_->global(entry->index));
      result_types = {program_.globals[entry->index].type};
      return Outcome{abi::Exit::returned, abi::TrapKind::none, std::move(slots), 0};
    }
    const ir::FunctionType& type = program_.types[program_.functions[entry->index].type];
    bool fits = type.params.size() == action.args.size();
    std::vector<std::uint64_t> args;
    for (std::size_t i = 0; fits && i < action.args.size(); ++i) {
      const Value& arg = action.args[i];
      fits = arg.type == type.params[i] &&
             (arg.kind == Value::Kind::bits || arg.kind == Value::Kind::lanes);
      for (const std::uint64_t slot : slots_of(arg)) args.push_back(slot);
    }
    if (!fits) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                         "The arguments {} do not fit the function {}.", to_string(action.args),
                         ir::to_string(type));
    }
    result_types = type.results;
    return executor_->call(entry->index, args);
  }

  const Script& script_;
  Plan plan_;
  ir::Module program_;  // as linked; the executor has its own
  std::unique_ptr<Executor> executor_;
};

}  // namespace

std::vector<Report> run_script(const Script& script, MakeExecutor make_executor) {
  return Runner(script, make_executor).run();
}

}  // namespace warphive::tools::spec
