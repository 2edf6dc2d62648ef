// SPDX-License-Identifier: Apache-2.0
#include "tools/spec_plan.hpp"

#include <fmt/format.h>

#include <deque>
#include <unordered_map>
#include <utility>

#include "base/result.hpp"
#include "guest/wasm/lower.hpp"
#include "guest/wasm/reader.hpp"
#include "ir/link.hpp"
#include "tools/failure.hpp"
#include "tools/spec_spectest.hpp"

namespace warphive::tools::spec {
namespace {

/// The linker's name of a member; imports are rewritten to it, since what a name means changes in
/// the course of a script.
std::string member_name(std::uint32_t member) { return fmt::format("#{}", member); }

Result<ir::Module> load(std::vector<std::byte> bytes) {
  WARPHIVE_TRY_ASSIGN(const wasm::Module module, wasm::read_module(std::move(bytes)));
  return wasm::lower(module);
}

class Planner {
 public:
  explicit Planner(const Script& script) : script_(script) {}

  Plan make() {
    Result<ir::Module> spectest = load(spectest_bytes());
    registered_["spectest"] = add(or_fail(std::move(spectest), "spectest"));
    Plan plan;
    for (const Command& command : script_.commands) plan.steps.push_back(step(command));
    plan.program = link_all(plan);
    return plan;
  }

 private:
  Target add(ir::Module module) {
    const auto member = static_cast<std::uint32_t>(modules_.size());
    modules_.push_back(std::move(module));
    return {Target::Kind::member, member, {}};
  }

  std::vector<ir::LinkInput> inputs() const {
    std::vector<ir::LinkInput> list;
    list.reserve(modules_.size());
    for (std::uint32_t i = 0; i < modules_.size(); ++i) {
      list.push_back({&modules_[i], member_name(i)});
    }
    return list;
  }

  Step step(const Command& command) {
    switch (command.kind) {
      case CommandKind::module:
        return step_module(command);
      case CommandKind::assert_uninstantiable:
        return step_uninstantiable(command);
      case CommandKind::assert_unlinkable:
        return step_unlinkable(command);
      case CommandKind::assert_invalid:
      case CommandKind::assert_malformed:
        return step_refused(command);
      case CommandKind::register_as:
        return step_register(command);
      default:
        return {find(command.action.module), {}, {}};
    }
  }

  Target find(const std::optional<std::string>& name) const {
    if (!name) return latest_;
    const auto found = named_.find(*name);
    if (found != named_.end()) return found->second;
    return {Target::Kind::failed, 0, fmt::format("There is no module ({}).", *name)};
  }

  /// The module as a candidate for linking, with its imports bound to members.
  Target load_candidate(const Command& command, ir::Module& module) {
    Result<ir::Module> loaded = load(read_bytes(script_.folder / command.filename));
    if (!loaded) {
      return {Target::Kind::failed, 0, loaded.error().describe()};
    }
    module = std::move(*loaded);
    const Target* missing = nullptr;
    const auto bind = [&](auto& entities) {
      for (auto& entity : entities) {
        if (!entity.import) continue;
        const auto found = registered_.find(entity.import->module);
        if (found == registered_.end()) continue;
        if (found->second.kind == Target::Kind::member) {
          entity.import->module = member_name(found->second.member);
        } else {
          missing = &found->second;
        }
      }
    };
    bind(module.functions);
    bind(module.tables);
    bind(module.memories);
    bind(module.globals);
    return missing != nullptr ? *missing : Target{Target::Kind::member, 0, {}};
  }

  Step step_module(const Command& command) {
    ir::Module module;
    Target target = load_candidate(command, module);
    if (target.kind == Target::Kind::member) target = add(std::move(module));
    latest_ = target;
    if (command.name) named_[*command.name] = target;
    return {target, {}, {}};
  }

  Step step_uninstantiable(const Command& command) {
    ir::Module module;
    Target target = load_candidate(command, module);
    if (target.kind == Target::Kind::member) target = add(std::move(module));
    return {target, {}, {}};
  }

  Step step_unlinkable(const Command& command) {
    ir::Module module;
    Target target = load_candidate(command, module);
    if (target.kind != Target::Kind::member) return {target, {}, {}};
    std::vector<ir::LinkInput> list = inputs();
    list.push_back({&module, member_name(static_cast<std::uint32_t>(list.size()))});
    const Result<ir::Module> linked = ir::link(list);
    if (linked) return {add(std::move(module)), {}, {}};  // its init must refuse the limits
    if (linked.error().phase() != ErrorPhase::link) {
      return {{}, Verdict::failed, linked.error().describe()};
    }
    return {{}, Verdict::passed, {}};
  }

  Step step_refused(const Command& command) {
    if (command.is_text) return {{}, Verdict::skipped, "The module is given as text."};
    const Result<wasm::Module> module =
        wasm::read_module(read_bytes(script_.folder / command.filename));
    if (module) {
      return {{}, Verdict::failed, fmt::format("The module was accepted; {}.", command.text)};
    }
    return {{}, Verdict::passed, {}};
  }

  Step step_register(const Command& command) {
    const Target target = find(command.name);
    registered_[command.as] = target;
    return {target, {}, {}};
  }

  /// Everything that was added. A member that does not link is a failure of its module command; the
  /// rest is linked without it and without what depends on it.
  ir::Module link_all(Plan& plan) {
    Result<ir::Module> linked = ir::link(inputs());
    while (!linked) {
      const std::uint32_t culprit = first_that_fails();
      const std::string reason = linked.error().describe();
      for (Step& step : plan.steps) {
        if (step.target.kind == Target::Kind::member && step.target.member == culprit) {
          step.target = {Target::Kind::failed, 0, reason};
        }
      }
      // An empty module keeps the numbers of the others.
      modules_[culprit] = or_fail(load(empty_module()), "an empty module");
      linked = ir::link(inputs());
    }
    return std::move(*linked);
  }

  std::uint32_t first_that_fails() const {
    std::vector<ir::LinkInput> list = inputs();
    for (std::size_t count = 1; count < list.size(); ++count) {
      if (!ir::link(std::span(list).first(count))) return static_cast<std::uint32_t>(count - 1);
    }
    return static_cast<std::uint32_t>(list.size() - 1);
  }

  static std::vector<std::byte> empty_module() {
    constexpr std::byte header[] = {std::byte{0}, std::byte{'a'}, std::byte{'s'}, std::byte{'m'},
                                    std::byte{1}, std::byte{0},   std::byte{0},   std::byte{0}};
    return {std::begin(header), std::end(header)};
  }

  const Script& script_;
  std::deque<ir::Module> modules_;  // by member; addresses are kept
  std::unordered_map<std::string, Target> registered_;
  std::unordered_map<std::string, Target> named_;
  Target latest_;
};

}  // namespace

Plan make_plan(const Script& script) { return Planner(script).make(); }

}  // namespace warphive::tools::spec
