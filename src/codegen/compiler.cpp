// SPDX-License-Identifier: Apache-2.0
#include "codegen/compiler.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "base/result.hpp"
#include "codegen/emit.hpp"
#include "codegen/llvm_tools.hpp"

namespace warphive::codegen {
namespace {

std::string take_message(llvm::Error error) { return llvm::toString(std::move(error)); }

std::string host_features() {
  std::string text;
  for (const auto& feature : llvm::sys::getHostCPUFeatures()) {
    if (!text.empty()) text += ',';
    text += (feature.getValue() ? "+" : "-") + feature.getKey().str();
  }
  return text;
}

Result<std::unique_ptr<llvm::TargetMachine>> make_host_machine() {
  return make_machine({.triple = llvm::sys::getProcessTriple(),
                       .processor = llvm::sys::getHostCPUName().str(),
                       .features = host_features(),
                       .level = llvm::CodeGenOptLevel::Less,
                       .is_jit = true});
}

// What a guest's compiler left to do, once: `default<O2>` takes four times as long, for code that
// is no faster (docs/adr/0005).
constexpr const char* pipeline =
    "function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,"
    "loop-mssa(loop-instsimplify,loop-simplifycfg,loop-rotate,licm),loop(indvars),"
    "early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg)";

void optimise(llvm::Module& module, llvm::TargetMachine& machine) {
  PassRunner runner(machine);
  llvm::ModulePassManager passes;
  llvm::cantFail(runner.builder().parsePassPipeline(passes, pipeline));
  runner.run(passes, module);
}

}  // namespace

std::string host_target() {
  initialise_llvm();
  return llvm::sys::getProcessTriple() + ' ' + llvm::sys::getHostCPUName().str() + ' ' +
         host_features() + " llvm-" LLVM_VERSION_STRING;
}

/// Each part bounds what LLVM holds in memory at a time.
std::vector<std::uint32_t> in_order(const std::vector<std::uint32_t>& first, std::size_t count) {
  std::vector<std::uint32_t> order;
  order.reserve(count);
  std::vector<bool> seen(count);
  const auto add = [&](std::uint32_t function) {
    if (!seen[function]) order.push_back(function);
    seen[function] = true;
  };
  for (const std::uint32_t function : first) add(function);
  for (std::uint32_t i = 0; i < count; ++i) add(i);
  return order;
}

class PartCompiler::Parts {
 public:
  Parts(const ir::Module& module, const ir::EncodedProgram& encoded, const CompileLimits& limits,
        std::unique_ptr<llvm::TargetMachine> machine, bool calls_ahead,
        const std::vector<std::uint32_t>& first)
      : module_(module),
        encoded_(encoded),
        limits_(limits),
        machine_(std::move(machine)),
        analyser_(module),
        calls_ahead_(calls_ahead),
        order_(in_order(first, module.functions.size())),
        linked_(module.functions.size()),
        start_(Clock::now()) {}

  [[nodiscard]] bool done() const { return next_ == order_.size() && has_stubs_; }
  [[nodiscard]] const LinkedFunctions& linked() const { return linked_; }

  Result<HostObjects> next(std::uint64_t most) {
    if (limits_.stop != nullptr && limits_.stop->load(std::memory_order_relaxed)) {
      return base::error(ErrorCode::cancelled, ErrorPhase::codegen, "Compilation was stopped.");
    }
    part_ = {};
    part_.functions.assign(module_.functions.size(), Compiled::no);
    std::uint64_t instructions = 0;
    const std::size_t begin = next_;
    while (next_ < order_.size() && (next_ == begin || instructions < most)) {
      const std::uint32_t function = order_[next_++];
      instructions += size_of(module_.functions[function]);
      linked_[function] = true;
    }
    llvm::LLVMContext context;
    Emitter emitter({&module_, &encoded_, calls_ahead_ ? nullptr : &linked_}, context, "program",
                    host_code());
    set_machine(emitter.module(), *machine_);
    if (!has_stubs_) {
      for (std::uint32_t type = 0; type < module_.types.size(); ++type) emitter.add_stubs(type);
      has_stubs_ = true;
    }
    for (std::size_t i = begin; i < next_; ++i) add(emitter, order_[i]);
    WARPHIVE_TRY(verify(emitter.module()));
    set_processor(emitter.module(), *machine_);
    optimise(emitter.module(), *machine_);
    WARPHIVE_TRY_ASSIGN(auto object,
                        generate(emitter.module(), *machine_, llvm::CodeGenFileType::ObjectFile));
    code_bytes_ += object.size();
    part_.objects.push_back(std::move(object));
    return std::move(part_);
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// Why nothing more of the program is compiled; nullptr if more is.
  const char* exhausted() {
    if (instructions_ > limits_.program_instructions) return "the program is larger than the limit";
    if (code_bytes_ > limits_.code_bytes) return "the program's code is larger than the limit";
    const std::chrono::duration<double> taken = Clock::now() - start_;
    if (limits_.seconds > 0 && taken.count() > limits_.seconds) {
      part_.ran_out = true;
      return "compiling the program takes longer than the limit";
    }
    return nullptr;
  }

  void add(Emitter& emitter, std::uint32_t index) {
    const ir::Function& function = module_.functions[index];
    instructions_ += size_of(function);
    const char* const limit = exhausted();
    if (limit != nullptr || !analyser_.run(function, limits_.function)) {
      part_.reasons.push_back(
          fmt::format("function {}: {}", index, limit != nullptr ? limit : analyser_.reason()));
      emitter.add_refusal(index);
      return;
    }
    emitter.add_function(index, analyser_.result());
    part_.functions[index] = Compiled::yes;
    if (!starts_in_loop(function, analyser_.result())) return;
    part_.functions[index] = Compiled::by_call;
    if (emitter.add_resume(index, 1, analyser_.result())) {
      part_.resumes.push_back(encoded_.functions[index].entry + 1);
    }
  }

  const ir::Module& module_;
  const ir::EncodedProgram& encoded_;
  const CompileLimits limits_;
  std::unique_ptr<llvm::TargetMachine> machine_;
  Analyser analyser_;
  const bool calls_ahead_;  // functions of later parts, by their symbols
  const std::vector<std::uint32_t> order_;
  std::size_t next_ = 0;
  bool has_stubs_ = false;
  LinkedFunctions linked_;
  HostObjects part_;
  std::uint64_t instructions_ = 0;
  std::uint64_t code_bytes_ = 0;
  const Clock::time_point start_;
};

PartCompiler::PartCompiler(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PartCompiler::~PartCompiler() = default;
bool PartCompiler::done() const { return parts_->done(); }
const LinkedFunctions& PartCompiler::linked() const { return parts_->linked(); }
Result<HostObjects> PartCompiler::next(std::uint64_t instructions) {
  return parts_->next(instructions);
}

Result<std::unique_ptr<PartCompiler>> PartCompiler::create(
    const ir::Module& module, const ir::EncodedProgram& encoded, const CompileLimits& limits,
    const std::vector<std::uint32_t>& first) {
  WARPHIVE_TRY_ASSIGN(auto machine, make_host_machine());
  auto parts = std::make_unique<Parts>(module, encoded, limits, std::move(machine), false, first);
  return std::unique_ptr<PartCompiler>(new PartCompiler(std::move(parts)));
}

void append(HostObjects& objects, HostObjects part) {
  std::move(part.objects.begin(), part.objects.end(), std::back_inserter(objects.objects));
  std::move(part.reasons.begin(), part.reasons.end(), std::back_inserter(objects.reasons));
  objects.resumes.insert(objects.resumes.end(), part.resumes.begin(), part.resumes.end());
  objects.ran_out |= part.ran_out;
  objects.functions.resize(part.functions.size(), Compiled::no);
  for (std::size_t i = 0; i < part.functions.size(); ++i) {
    if (part.functions[i] != Compiled::no) objects.functions[i] = part.functions[i];
  }
}

Result<HostObjects> compile_host(const ir::Module& module, const ir::EncodedProgram& encoded,
                                 const CompileLimits& limits) {
  WARPHIVE_TRY_ASSIGN(auto machine, make_host_machine());
  PartCompiler::Parts parts(module, encoded, limits, std::move(machine), true, {});
  HostObjects all;
  while (!parts.done()) {
    WARPHIVE_TRY_ASSIGN(HostObjects part, parts.next(part_instructions));
    append(all, std::move(part));
  }
  return all;
}

Result<HostObjects> compile_resume(const ir::Module& module, const ir::EncodedProgram& encoded,
                                   std::uint32_t insn, const LinkedFunctions* linked,
                                   const CompileLimits& limits) {
  HostObjects result;
  const ir::Location at = ir::locate(encoded, insn);
  if (at.function == ir::none) return result;
  const ir::Function& function = module.functions[at.function];
  Analyser analyser(module);
  if (!analyser.run(function, limits.function)) return result;
  const std::uint32_t place = resume_place(function, analyser.result(), at.inst);
  if (place == ir::none) return result;
  WARPHIVE_TRY_ASSIGN(const auto machine, make_host_machine());
  llvm::LLVMContext context;
  Emitter emitter({&module, &encoded, linked}, context, "resume");
  llvm::Module& target = emitter.module();
  set_machine(target, *machine);
  if (!emitter.add_resume(at.function, place, analyser.result())) return result;
  WARPHIVE_TRY(verify(target));
  set_processor(target, *machine);
  optimise(target, *machine);
  WARPHIVE_TRY_ASSIGN(auto object, generate(target, *machine, llvm::CodeGenFileType::ObjectFile));
  result.objects.push_back(std::move(object));
  result.resumes.push_back(encoded.functions[at.function].entry + place);
  return result;
}

Result<std::string> list_function(const ir::Module& module, const ir::EncodedProgram& encoded,
                                  std::uint32_t function, Listing listing) {
  WARPHIVE_TRY_ASSIGN(const auto machine, make_host_machine());
  llvm::LLVMContext context;
  Emitter emitter({&module, &encoded}, context, "function");
  llvm::Module& target = emitter.module();
  set_machine(target, *machine);
  Analyser analyser(module);
  if (!analyser.run(module.functions[function], {})) return codegen_error(analyser.reason());
  emitter.add_function(function, analyser.result());
  WARPHIVE_TRY(verify(target));
  set_processor(target, *machine);
  optimise(target, *machine);
  if (listing == Listing::llvm) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    target.print(stream, nullptr);
    return text;
  }
  WARPHIVE_TRY_ASSIGN(const auto bytes,
                      generate(target, *machine, llvm::CodeGenFileType::AssemblyFile));
  return std::string(bytes.begin(), bytes.end());
}

struct NativeLibrary::Data {
  explicit Data(std::unique_ptr<llvm::orc::ExecutorProcessControl> control)
      : session(std::move(control)),
        linker(session, std::make_unique<llvm::jitlink::InProcessMemoryManager>(
                            llvm::sys::Process::getPageSizeEstimate())) {}
  ~Data() {
    if (llvm::Error error = session.endSession()) llvm::consumeError(std::move(error));
  }

  Status add_objects(const HostObjects& objects) {
    for (const std::vector<char>& object : objects.objects) {
      auto buffer = llvm::MemoryBuffer::getMemBufferCopy(
          llvm::StringRef(object.data(), object.size()), "warphive");
      if (llvm::Error error = linker.add(*library, std::move(buffer))) {
        return codegen_error(take_message(std::move(error)));
      }
    }
    return {};
  }
  /// Addresses of all symbols at once, 0 for those that do not exist.
  Result<std::vector<const void*>> find(const std::vector<std::string>& names) {
    if (names.empty()) return std::vector<const void*>();
    llvm::orc::SymbolLookupSet wanted;
    std::vector<llvm::orc::SymbolStringPtr> symbols;
    symbols.reserve(names.size());
    for (const std::string& name : names) symbols.push_back(session.intern(name));
    std::vector<llvm::orc::SymbolStringPtr> distinct = symbols;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    for (const auto& symbol : distinct) wanted.add(symbol);
    auto found = session.lookup(llvm::orc::makeJITDylibSearchOrder(
                                    library, llvm::orc::JITDylibLookupFlags::MatchAllSymbols),
                                wanted);
    if (!found) return codegen_error(take_message(found.takeError()));
    std::vector<const void*> addresses;
    addresses.reserve(names.size());
    for (const auto& symbol : symbols) {
      addresses.push_back((*found)[symbol].getAddress().toPtr<const void*>());
    }
    return addresses;
  }
  /// Lanes may be running code that looks at the targets.
  Status add_functions(const std::vector<Compiled>& functions) {
    std::vector<std::uint32_t> made;
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < functions.size(); ++i) {
      if (functions[i] == Compiled::no) continue;
      made.push_back(i);
      names.push_back(function_symbol(i));
    }
    WARPHIVE_TRY_ASSIGN(const auto addresses, find(names));
    for (std::size_t i = 0; i < made.size(); ++i) {
      abi::NativeTarget& target = targets[made[i]];
      __atomic_store_n(&target.code, addresses[i], __ATOMIC_RELEASE);
      __atomic_store_n(&target.compiled, static_cast<std::uint32_t>(functions[made[i]]),
                       __ATOMIC_RELEASE);
    }
    return {};
  }
  Status add_resumes(const std::vector<std::uint32_t>& insns) {
    std::vector<std::string> names;
    names.reserve(insns.size());
    for (const std::uint32_t insn : insns) names.push_back(resume_symbol(insn));
    WARPHIVE_TRY_ASSIGN(const auto addresses, find(names));
    for (std::size_t i = 0; i < insns.size(); ++i) {
      all_resumes.push_back(
          {insns[i], 0, reinterpret_cast<abi::NativeResumeCode>(const_cast<void*>(addresses[i]))});
    }
    std::sort(all_resumes.begin(), all_resumes.end(),
              [](const auto& a, const auto& b) { return a.insn < b.insn; });
    return {};
  }
  void publish() {
    auto version = std::make_unique<Version>();
    version->resumes = all_resumes;
    version->code = {.targets = targets.data(),
                     .resumes = version->resumes.data(),
                     .resume_count = static_cast<std::uint32_t>(version->resumes.size()),
                     .version = static_cast<std::uint32_t>(versions.size() + 1)};
    versions.push_back(std::move(version));
  }

  struct Version {
    std::vector<abi::NativeResume> resumes;
    abi::NativeCode code = {};
  };
  llvm::orc::ExecutionSession session;
  llvm::orc::ObjectLinkingLayer linker;
  llvm::orc::JITDylib* library = nullptr;  // owned by the session
  std::vector<abi::NativeTarget> targets;
  std::vector<abi::NativeResume> all_resumes;
  std::vector<std::unique_ptr<Version>> versions;  // all stay: lanes may still use older ones
};

NativeLibrary::NativeLibrary(std::unique_ptr<Data> data) : data_(std::move(data)) {}
NativeLibrary::~NativeLibrary() = default;

const abi::NativeCode* NativeLibrary::code() const { return &data_->versions.back()->code; }

Result<std::unique_ptr<NativeLibrary>> NativeLibrary::load(const HostObjects& objects,
                                                           const ir::Module& module) {
  initialise_llvm();
  auto control = llvm::orc::SelfExecutorProcessControl::Create();
  if (!control) return codegen_error(take_message(control.takeError()));
  auto data = std::make_unique<Data>(std::move(*control));
  auto library = data->session.createJITDylib("program");
  if (!library) return codegen_error(take_message(library.takeError()));
  data->library = &*library;
  // What LLVM makes of stores of many zeros.
  const llvm::orc::ExecutorSymbolDef fill(llvm::orc::ExecutorAddr::fromPtr(&std::memset),
                                          llvm::JITSymbolFlags::Exported);
  if (llvm::Error error =
          library->define(llvm::orc::absoluteSymbols({{data->session.intern("memset"), fill}}))) {
    return codegen_error(take_message(std::move(error)));
  }
  WARPHIVE_TRY(data->add_objects(objects));
  // Who has no code refuses.
  std::vector<std::string> names;
  for (std::uint32_t type = 0; type < module.types.size(); ++type) {
    names.push_back(refuse_symbol(type));
    names.push_back(thunk_symbol(type));
  }
  WARPHIVE_TRY_ASSIGN(const auto addresses, data->find(names));
  for (const ir::Function& function : module.functions) {
    const std::size_t stubs = std::size_t{2} * function.type;
    data->targets.push_back(
        {.code = addresses[stubs],
         .thunk = reinterpret_cast<abi::NativeThunk>(const_cast<void*>(addresses[stubs + 1])),
         .type = function.type,
         .compiled = 0});
  }
  WARPHIVE_TRY(data->add_functions(objects.functions));
  WARPHIVE_TRY(data->add_resumes(objects.resumes));
  data->publish();
  return std::unique_ptr<NativeLibrary>(new NativeLibrary(std::move(data)));
}

Status NativeLibrary::add(const HostObjects& objects) {
  WARPHIVE_TRY(data_->add_objects(objects));
  WARPHIVE_TRY(data_->add_functions(objects.functions));
  WARPHIVE_TRY(data_->add_resumes(objects.resumes));
  data_->publish();
  return {};
}

}  // namespace warphive::codegen
