// SPDX-License-Identifier: Apache-2.0
#include "codegen/compiler.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/check.hpp"
#include "base/result.hpp"
#include "codegen/emit.hpp"
#include "codegen/llvm_jit.hpp"

namespace warphive::codegen {
namespace {

void initialise_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    // With the first heap sort is 1.8x slower (architecture section 5); the second takes a sixth of
    // the time of code generation, mostly to compare the ways out of functions with each other.
    const char* arguments[] = {"warphive", "-x86-cmov-converter=false", "-enable-tail-merge=false"};
    llvm::cl::ParseCommandLineOptions(3, arguments);
  });
}

std::string take_message(llvm::Error error) { return llvm::toString(std::move(error)); }

tl::unexpected<Error> codegen_error(const std::string& what) {
  return base::error(ErrorCode::internal, ErrorPhase::codegen, "Code generation failed ({}).",
                     what);
}

std::string host_features() {
  std::string text;
  for (const auto& feature : llvm::sys::getHostCPUFeatures()) {
    if (!text.empty()) text += ',';
    text += (feature.getValue() ? "+" : "-") + feature.getKey().str();
  }
  return text;
}

Result<std::unique_ptr<llvm::TargetMachine>> make_machine() {
  initialise_llvm();
  const std::string triple = llvm::sys::getProcessTriple();
  std::string message;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, message);
  if (target == nullptr) return codegen_error(message);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, llvm::sys::getHostCPUName(), host_features(), options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default, /*JIT=*/true));
  if (machine == nullptr) return codegen_error("no target machine");
  return machine;
}

void optimise(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager passes =
      builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2);
  passes.run(module, modules);
}

void set_machine(llvm::Module& module, llvm::TargetMachine& machine) {
  module.setTargetTriple(machine.getTargetTriple().str());
  module.setDataLayout(machine.createDataLayout());
}

/// Function attributes by which the code generator, and the inliner, know the processor.
void set_processor(llvm::Module& module, const llvm::TargetMachine& machine) {
  for (llvm::Function& f : module) {
    f.addFnAttr("target-cpu", machine.getTargetCPU());
    f.addFnAttr("target-features", machine.getTargetFeatureString());
  }
}

Result<std::vector<char>> generate(llvm::Module& module, llvm::TargetMachine& machine,
                                   llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type)) {
    return codegen_error("the target emits no such file");
  }
  passes.run(module);
  return std::vector<char>(bytes.begin(), bytes.end());
}

Status check(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (llvm::verifyModule(module, &stream)) return codegen_error(text);
  return {};
}

/// Functions of a program, compiled in parts that bound what LLVM holds in memory at a time.
class ProgramCompiler {
 public:
  ProgramCompiler(const ir::Module& module, const ir::EncodedProgram& encoded,
                  const CompileLimits& limits, llvm::TargetMachine& machine)
      : module_(module), encoded_(encoded), limits_(limits), machine_(machine), analyser_(module) {}

  Result<HostObjects> run() {
    const auto count = static_cast<std::uint32_t>(module_.functions.size());
    result_.functions.assign(count, Compiled::no);
    std::uint64_t instructions = 0;
    for (std::uint32_t i = 0; i < count;) {
      if (limits_.stop != nullptr && limits_.stop->load(std::memory_order_relaxed)) {
        return base::error(ErrorCode::cancelled, ErrorPhase::codegen, "Compilation was stopped.");
      }
      llvm::LLVMContext context;
      Emitter emitter({&module_, &encoded_}, context, "program");
      set_machine(emitter.module(), machine_);
      if (i == 0) {
        for (std::uint32_t type = 0; type < module_.types.size(); ++type) emitter.add_stubs(type);
      }
      for (std::uint64_t part = 0; i < count && part < part_instructions; ++i) {
        part += module_.functions[i].code.size();
        instructions += module_.functions[i].code.size();
        add(emitter, i, instructions);
      }
      WARPHIVE_TRY(finish(emitter.module()));
    }
    return std::move(result_);
  }

 private:
  static constexpr std::uint64_t part_instructions = 20'000;

  void add(Emitter& emitter, std::uint32_t index, std::uint64_t instructions) {
    const ir::Function& function = module_.functions[index];
    const bool too_much = instructions > limits_.program_instructions;
    if (too_much || !analyser_.run(function, limits_.function)) {
      result_.reasons.push_back(
          fmt::format("function {}: {}", index,
                      too_much ? "the program is larger than the limit" : analyser_.reason()));
      emitter.add_refusal(index);
      return;
    }
    emitter.add_function(index, analyser_.result());
    result_.functions[index] = Compiled::yes;
    if (!starts_in_loop(function, analyser_.result())) return;
    result_.functions[index] = Compiled::by_call;
    if (emitter.add_resume(index, 1, analyser_.result())) {
      result_.resumes.push_back(encoded_.functions[index].entry + 1);
    }
  }

  Status finish(llvm::Module& part) {
    WARPHIVE_TRY(check(part));
    set_processor(part, machine_);
    optimise(part, machine_);
    WARPHIVE_TRY_ASSIGN(auto object, generate(part, machine_, llvm::CodeGenFileType::ObjectFile));
    result_.objects.push_back(std::move(object));
    return {};
  }

  const ir::Module& module_;
  const ir::EncodedProgram& encoded_;
  const CompileLimits& limits_;
  llvm::TargetMachine& machine_;
  Analyser analyser_;
  HostObjects result_;
};

}  // namespace

std::string host_target() {
  initialise_llvm();
  return llvm::sys::getProcessTriple() + ' ' + llvm::sys::getHostCPUName().str() + ' ' +
         host_features() + " llvm-" LLVM_VERSION_STRING;
}

Result<HostObjects> compile_host(const ir::Module& module, const ir::EncodedProgram& encoded,
                                 const CompileLimits& limits) {
  WARPHIVE_TRY_ASSIGN(const auto machine, make_machine());
  return ProgramCompiler(module, encoded, limits, *machine).run();
}

Result<HostObjects> compile_resume(const ir::Module& module, const ir::EncodedProgram& encoded,
                                   std::uint32_t insn, const CompileLimits& limits) {
  HostObjects result;
  const ir::Location at = ir::locate(encoded, insn);
  if (at.function == ir::none) return result;
  const ir::Function& function = module.functions[at.function];
  Analyser analyser(module);
  if (!analyser.run(function, limits.function)) return result;
  const std::uint32_t place = resume_place(function, analyser.result(), at.inst);
  if (place == ir::none) return result;
  WARPHIVE_TRY_ASSIGN(const auto machine, make_machine());
  llvm::LLVMContext context;
  Emitter emitter({&module, &encoded}, context, "resume");
  llvm::Module& target = emitter.module();
  set_machine(target, *machine);
  if (!emitter.add_resume(at.function, place, analyser.result())) return result;
  WARPHIVE_TRY(check(target));
  set_processor(target, *machine);
  optimise(target, *machine);
  WARPHIVE_TRY_ASSIGN(auto object, generate(target, *machine, llvm::CodeGenFileType::ObjectFile));
  result.objects.push_back(std::move(object));
  result.resumes.push_back(encoded.functions[at.function].entry + place);
  return result;
}

Result<std::string> list_function(const ir::Module& module, const ir::EncodedProgram& encoded,
                                  std::uint32_t function, Listing listing) {
  WARPHIVE_TRY_ASSIGN(const auto machine, make_machine());
  llvm::LLVMContext context;
  Emitter emitter({&module, &encoded}, context, "function");
  llvm::Module& target = emitter.module();
  set_machine(target, *machine);
  Analyser analyser(module);
  if (!analyser.run(module.functions[function], {})) return codegen_error(analyser.reason());
  emitter.add_function(function, analyser.result());
  WARPHIVE_TRY(check(target));
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
  Status add_resumes(const std::vector<std::uint32_t>& insns) {
    std::vector<std::string> names;
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
  WARPHIVE_TRY(data->add_objects(objects));
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < module.functions.size(); ++i) {
    names.push_back(function_symbol(i));
    names.push_back(thunk_symbol(module.functions[i].type));
  }
  WARPHIVE_TRY_ASSIGN(const auto addresses, data->find(names));
  for (std::uint32_t i = 0; i < module.functions.size(); ++i) {
    data->targets.push_back(
        {.code = addresses[2 * i],
         .thunk = reinterpret_cast<abi::NativeThunk>(const_cast<void*>(addresses[2 * i + 1])),
         .type = module.functions[i].type,
         .compiled = static_cast<std::uint32_t>(objects.functions[i])});
  }
  WARPHIVE_TRY(data->add_resumes(objects.resumes));
  data->publish();
  return std::unique_ptr<NativeLibrary>(new NativeLibrary(std::move(data)));
}

Status NativeLibrary::add(const HostObjects& variants) {
  WARPHIVE_TRY(data_->add_objects(variants));
  WARPHIVE_TRY(data_->add_resumes(variants.resumes));
  data_->publish();
  return {};
}

}  // namespace warphive::codegen
