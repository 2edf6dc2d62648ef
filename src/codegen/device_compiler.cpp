// SPDX-License-Identifier: Apache-2.0
#include "codegen/device_compiler.hpp"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/MustExecute.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Scalar/ADCE.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Utils/FixIrreducible.h>
#include <llvm/Transforms/Utils/LowerSwitch.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <utility>

#include "base/result.hpp"
#include "codegen/emit.hpp"
#include "codegen/llvm_tools.hpp"
#include "codegen/ptx_text.hpp"
#include "codegen/tile_layout.hpp"
#include "codegen/tile_target.hpp"
#include "opt/edit.hpp"

namespace warphive::codegen {
namespace {

// About what an IR instruction becomes, with its share of ways out (codegen_ptx_test prints it).
constexpr std::uint64_t ptx_bytes_per_instruction = 200;
constexpr std::uint64_t ptx_bytes_per_refusal = 1000;
// NVPTX multiplies it by 11: what is inlined is a few instructions.
constexpr int inline_threshold = 5;

/// Of PTX ISA 8.3, from which ptxas keeps no edges out of `trap`.
Result<std::unique_ptr<llvm::TargetMachine>> make_ptx_machine() {
  return make_machine(
      {.triple = "nvptx64-nvidia-cuda", .processor = "sm_70", .features = "+ptx83"});
}

llvm::PipelineTuningOptions tuning() {
  llvm::PipelineTuningOptions tuning;
  // They merge checked accesses, and make code that takes long to assemble.
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopUnrolling = false;
  tuning.InlinerThreshold = inline_threshold;
  return tuning;
}

/// Variants that go on at several places enter loops in their middle. The assembler finds where
/// lanes of a warp meet again only in loops that are entered at their header.
struct EnterLoopsAtHeaders : llvm::PassInfoMixin<EnterLoopsAtHeaders> {
  static llvm::PreservedAnalyses run(llvm::Function& function,
                                     llvm::FunctionAnalysisManager& analyses) {
    const llvm::LoopInfo& loops = analyses.getResult<llvm::LoopAnalysis>(function);
    if (!llvm::mayContainIrreducibleControl(function, &loops))
      return llvm::PreservedAnalyses::all();
    llvm::FunctionPassManager passes;
    passes.addPass(llvm::LowerSwitchPass());  // which the other one needs
    passes.addPass(llvm::FixIrreduciblePass());
    return passes.run(function, analyses);
  }
};

/// While a lane's state is contiguous.
void optimise(PassRunner& runner, llvm::Module& module) {
  llvm::ModulePassManager passes =
      runner.builder().buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2);
  runner.run(passes, module);
}

/// When addresses are those of the layout.
void clean(PassRunner& runner, llvm::Module& module) {
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()),
                                                       /*UseMemorySSA=*/true));
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::ADCEPass());
  // Last: others would have what comes from outside jump into loops again.
  passes.addPass(EnterLoopsAtHeaders());
  llvm::ModulePassManager all;
  all.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(passes)));
  runner.run(all, module);
}

/// What LLVM's NVPTX makes code of. It aborts the process at others.
bool is_known(llvm::Intrinsic::ID id) {
  using namespace llvm;  // NOLINT(google-build-using-namespace)
  switch (id) {
    case Intrinsic::abs:
    case Intrinsic::assume:
    case Intrinsic::bitreverse:
    case Intrinsic::bswap:
    case Intrinsic::ceil:
    case Intrinsic::copysign:  // LLVM makes it where the magnitude is no NaN, or raw
    case Intrinsic::ctlz:
    case Intrinsic::ctpop:
    case Intrinsic::cttz:
    case Intrinsic::experimental_noalias_scope_decl:
    case Intrinsic::fabs:
    case Intrinsic::floor:
    case Intrinsic::fptosi_sat:
    case Intrinsic::fptoui_sat:
    case Intrinsic::fshl:
    case Intrinsic::fshr:
    case Intrinsic::is_fpclass:
    case Intrinsic::lifetime_end:
    case Intrinsic::lifetime_start:
    case Intrinsic::maximum:
    case Intrinsic::minimum:
    case Intrinsic::roundeven:
    case Intrinsic::sadd_sat:
    case Intrinsic::smax:
    case Intrinsic::smin:
    case Intrinsic::sqrt:
    case Intrinsic::ssub_sat:
    case Intrinsic::trunc:
    case Intrinsic::uadd_sat:
    case Intrinsic::uadd_with_overflow:
    case Intrinsic::umax:
    case Intrinsic::umin:
    case Intrinsic::umul_with_overflow:
    case Intrinsic::usub_sat:
    case Intrinsic::usub_with_overflow:
      return true;
    default:
      return false;
  }
}

/// Whether a function's variant may enter loops in their middle: which takes code for every value
/// in every loop around, for each place.
bool enters_anywhere(const ir::Function& function, const FunctionAnalysis& analysis) {
  constexpr std::uint64_t most_instructions = 300;
  constexpr std::size_t most_places = 12;
  std::size_t places = 0;
  for (std::uint32_t i = 1; i < function.blocks.size(); ++i) places += analysis.blocks[i].is_check;
  for (std::uint32_t inst = 1; inst < function.code.size(); ++inst) {
    const std::uint32_t site = analysis.sites[inst - 1];
    places += site != ir::none && analysis.site_list[site].checks_after ? 1 : 0;
  }
  return size_of(function) <= most_instructions && places <= most_places;
}

/// Where other variants go on in place of `inst`: at the header of the outermost loop around it.
std::uint32_t entered_instead(const ir::Function& function, std::uint32_t inst) {
  const auto behind = std::upper_bound(function.blocks.begin(), function.blocks.end(), inst);
  const auto block = static_cast<std::uint32_t>(behind - function.blocks.begin()) - 1;
  // Blocks lie in the order of the guest's text: loops are ranges of them.
  std::uint32_t first = block;
  for (std::uint32_t last = block; last < function.blocks.size(); ++last) {
    opt::for_each_successor(function, last, [&](std::uint32_t header) {
      if (header <= last) first = std::min(first, header);
    });
  }
  const bool is_inside = first < block;
  if (is_inside) return function.blocks[first];
  // In a loop that begins with this block, or in none.
  bool is_header = false;
  for (std::uint32_t last = block; last < function.blocks.size(); ++last) {
    opt::for_each_successor(function, last,
                            [&](std::uint32_t header) { is_header |= header == block; });
  }
  return is_header ? function.blocks[block] : inst;
}

/// Why a function cannot become PTX; empty if it can.
std::string obstacle(llvm::Function& function) {
  for (const llvm::Instruction& inst : llvm::instructions(function)) {
    if (const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&inst)) {
      if (!is_known(call->getIntrinsicID())) {
        return "no code for " + call->getCalledFunction()->getName().str();
      }
    } else if (inst.isIntDivRem() && inst.getType()->getScalarSizeInBits() > 64) {
      return "no code for wide divisions";
    } else if (const auto* local = llvm::dyn_cast<llvm::AllocaInst>(&inst)) {
      if (!local->isStaticAlloca()) return "no code for variables of unknown size";
    } else if (inst.getOpcode() == llvm::Instruction::FRem) {
      return "no code for float remainders";
    }
  }
  return {};
}

bool uses_vectors(const FunctionAnalysis& analysis) {
  return !analysis.vectors.empty() ||
         std::any_of(analysis.webs.begin(), analysis.webs.end(),
                     [](const Web& web) { return is_vector(web.type); });
}

class DeviceCompiler {
 public:
  using Take = std::function<Status(std::vector<char> unit)>;
  DeviceCompiler(const ir::Module& module, const ir::EncodedProgram& encoded,
                 const DeviceOptions& options, llvm::TargetMachine& machine,
                 const TileTarget& target, llvm::CodeGenFileType type, Take take)
      : module_(module),
        encoded_(encoded),
        options_(options),
        machine_(machine),
        target_(target),
        type_(type),
        is_ptx_(type == llvm::CodeGenFileType::AssemblyFile),
        take_(std::move(take)),
        analyser_(module),
        order_(in_order(options.first, module.functions.size())),
        functions_(module.functions.size(), Compiled::no),
        left_out_(module.functions.size()),
        refused_(module.functions.size()),
        wanted_(module.functions.size()),
        resume_instructions_(module.functions.size()) {
    for (const std::uint32_t insn : options.resumes) {
      const ir::Location at = ir::locate(encoded, insn);
      if (at.function != ir::none) wanted_[at.function].push_back(at.inst);
    }
  }

  Status run() {
    {
      llvm::LLVMContext context;
      Emitter emitter({&module_, &encoded_}, context, "types", target_);
      set_machine(emitter.module(), machine_);
      for (std::uint32_t type = 0; type < module_.types.size(); ++type) emitter.add_stubs(type);
      WARPHIVE_TRY_ASSIGN(auto unit, finish(emitter.module()));
      WARPHIVE_TRY(take(std::move(unit)));
    }
    const char* limit = nullptr;
    for (std::size_t first = 0; first < order_.size() && limit == nullptr;) {
      std::uint64_t bytes = 0;
      std::size_t last = first;
      for (; last < order_.size() && bytes < options_.unit_bytes; ++last) {
        const std::uint64_t size = size_of(module_.functions[order_[last]]);
        instructions_ += size;
        limit = exhausted();
        if (limit != nullptr) break;
        bytes += size * ptx_bytes_per_instruction;
      }
      if (last != first) WARPHIVE_TRY(compile(first, last));
      first = last;
      for (; limit != nullptr && last < order_.size(); ++last) leave_out(order_[last], limit);
    }
    std::sort(resumes.begin(), resumes.end());
    return add_refusals();
  }

  /// What finds the code: an abi::NativeCode and its arrays.
  Status tables() {
    llvm::LLVMContext context;
    Emitter emitter({&module_, &encoded_}, context, "tables", target_);
    llvm::Module& unit = emitter.module();
    set_machine(unit, machine_);
    llvm::Type* i32 = llvm::Type::getInt32Ty(context);
    llvm::Type* pointer = llvm::PointerType::get(context, 0);
    const auto number = [&](std::uint64_t value) { return llvm::ConstantInt::get(i32, value); };
    // Arrays are in the global address space, what points to them is generic.
    const auto array = [&](llvm::ArrayRef<llvm::Constant*> items, llvm::Type* type,
                           const char* name) -> llvm::Constant* {
      auto* whole = llvm::ArrayType::get(type, items.size());
      auto* variable =
          new llvm::GlobalVariable(unit, whole, true, llvm::GlobalValue::InternalLinkage,
                                   llvm::ConstantArray::get(whole, items), name, nullptr,
                                   llvm::GlobalValue::NotThreadLocal, NvptxTarget::global_space);
      variable->setAlignment(llvm::Align(8));
      return llvm::ConstantExpr::getAddrSpaceCast(variable, pointer);
    };
    std::vector<llvm::Constant*> items;
    auto* target_type = llvm::StructType::get(context, {pointer, pointer, i32, i32});
    for (std::uint32_t i = 0; i < functions_.size(); ++i) {
      const std::uint32_t type = module_.functions[i].type;
      llvm::Function* code =
          left_out_[i] ? emitter.declare_refusal(type) : emitter.declare_function(i);
      items.push_back(llvm::ConstantStruct::get(
          target_type, {code, emitter.declare_thunk(type), number(type),
                        number(static_cast<std::uint64_t>(functions_[i]))}));
    }
    llvm::Constant* targets = array(items, target_type, "targets");
    items.clear();
    auto* resume_type = llvm::StructType::get(context, {i32, i32, pointer});
    for (const std::uint32_t insn : resumes) {
      llvm::Function* code = emitter.declare_resumes(ir::locate(encoded_, insn).function);
      items.push_back(llvm::ConstantStruct::get(resume_type, {number(insn), number(0), code}));
    }
    llvm::Constant* all_resumes = array(items, resume_type, "resumes");
    auto* native_type = llvm::StructType::get(context, {pointer, pointer, i32, i32});
    auto* native = new llvm::GlobalVariable(
        unit, native_type, true, llvm::GlobalValue::ExternalLinkage,
        llvm::ConstantStruct::get(native_type,
                                  {targets, all_resumes, number(resumes.size()), number(1)}),
        native_code_symbol, nullptr, llvm::GlobalValue::NotThreadLocal, NvptxTarget::global_space);
    native->setAlignment(llvm::Align(8));
    WARPHIVE_TRY_ASSIGN(auto made, generate(unit, machine_, type_));
    return take(std::move(made));
  }

  [[nodiscard]] std::vector<Compiled> take_functions() { return std::move(functions_); }

  std::vector<std::uint32_t> resumes;
  std::vector<std::string> reasons;
  bool ran_out = false;

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool is_stopped() const {
    return options_.limits.stop != nullptr && options_.limits.stop->load(std::memory_order_relaxed);
  }

  /// Why nothing more of the program is compiled; nullptr if more is.
  const char* exhausted() {
    const bool is_large = instructions_ > options_.limits.program_instructions;
    return is_large ? "the program is larger than the limit" : spent();
  }
  const char* spent() {
    const CompileLimits& limits = options_.limits;
    if (code_bytes_ > limits.code_bytes) return "the program's code is larger than the limit";
    const std::chrono::duration<double> taken = Clock::now() - start_;
    if (limits.seconds <= 0 || taken.count() <= limits.seconds) return nullptr;
    ran_out = true;
    return "compiling the program takes longer than the limit";
  }

  Status take(std::vector<char> unit) {
    if (is_stopped()) {
      return base::error(ErrorCode::cancelled, ErrorPhase::codegen, "Compilation was stopped.");
    }
    code_bytes_ += unit.size();
    return take_(std::move(unit));
  }

  void leave_out(std::uint32_t function, const char* reason) {
    left_out_[function] = true;
    reasons.push_back(fmt::format("function {}: {}", function, reason));
  }
  /// Whether there is no more time for another try of what would be a unit.
  bool leaves_out(std::size_t first, std::size_t last) {
    const char* const limit = spent();
    for (std::size_t i = first; limit != nullptr && i < last; ++i) leave_out(order_[i], limit);
    return limit != nullptr;
  }

  /// For functions that are left out and that others call.
  Status add_refusals() {
    for (auto next = called_.begin(); next != called_.end();) {
      llvm::LLVMContext context;
      Emitter emitter({&module_, &encoded_}, context, "refusals", target_);
      set_machine(emitter.module(), machine_);
      std::uint64_t bytes = 0;
      for (; next != called_.end() && bytes < options_.unit_bytes; ++next) {
        if (!left_out_[*next]) continue;
        emitter.add_refusal(*next);
        bytes += ptx_bytes_per_refusal;
      }
      if (bytes == 0) break;
      WARPHIVE_TRY_ASSIGN(auto unit, finish(emitter.module()));
      WARPHIVE_TRY(take(std::move(unit)));
    }
    return {};
  }

  /// The functions of an order from first to last - 1 as one unit, or as several where one would be
  /// too large.
  Status compile(std::size_t first, std::size_t last) {
    for (;;) {
      if (is_stopped()) {
        return base::error(ErrorCode::cancelled, ErrorPhase::codegen, "Compilation was stopped.");
      }
      llvm::LLVMContext context;
      Emitter emitter({&module_, &encoded_}, context, "unit", target_);
      set_machine(emitter.module(), machine_);
      if (options_.lists_offsets) emitter.mark_offsets();
      std::vector<std::uint32_t> places;
      std::vector<Compiled> kinds;
      for (std::size_t i = first; i < last; ++i) kinds.push_back(add(emitter, order_[i], places));
      const std::size_t refused = refusals_;
      WARPHIVE_TRY_ASSIGN(auto unit, finish(emitter.module()));
      if (refusals_ != refused && leaves_out(first, last)) return {};
      if (refusals_ != refused) continue;  // again, without those that cannot be
      if (is_ptx_ && unit.size() > options_.most_unit_bytes) {
        if (leaves_out(first, last)) return {};
        if (last - first == 1) {
          const std::uint32_t function = order_[first];
          if (wanted_[function].empty() && resume_instructions_[function] == 0) {
            refuse(function, "its PTX is larger than the limit");
          } else {
            wanted_[function].clear();
            no_resumes_.push_back(function);
          }
          continue;
        }
        const std::size_t middle = first + (last - first) / 2;
        WARPHIVE_TRY(compile(first, middle));
        return leaves_out(middle, last) ? Status() : compile(middle, last);
      }
      for (std::size_t i = first; i < last; ++i) {
        const std::uint32_t function = order_[i];
        functions_[function] = kinds[i - first];
        if (functions_[function] == Compiled::no) {
          reasons.push_back(fmt::format("function {}: {}", function, refused_[function]));
        }
      }
      resumes.insert(resumes.end(), places.begin(), places.end());
      for (const llvm::Function& f : emitter.module()) {
        const std::uint32_t function =
            f.isDeclaration() && !f.use_empty() ? function_of(f.getName()) : ir::none;
        if (function != ir::none) called_.insert(function);
      }
      return take(std::move(unit));
    }
  }

  void refuse(std::uint32_t function, std::string reason) {
    refused_[function] = std::move(reason);
    ++refusals_;
  }

  Compiled add(Emitter& emitter, std::uint32_t index, std::vector<std::uint32_t>& places) {
    const ir::Function& function = module_.functions[index];
    if (refused_[index].empty() && !analyser_.run(function, options_.limits.function)) {
      refused_[index] = analyser_.reason();
    }
    if (refused_[index].empty() && !target_.has_vectors() && uses_vectors(analyser_.result())) {
      refused_[index] = "vectors are interpreted on this target";
    }
    if (!refused_[index].empty()) {
      emitter.add_refusal(index);
      return Compiled::no;
    }
    const FunctionAnalysis& analysis = analyser_.result();
    emitter.add_function(index, analysis);
    std::vector<std::uint32_t> insts;
    const bool anywhere = enters_anywhere(function, analysis);
    const auto want = [&](std::uint32_t inst) {
      const std::uint32_t inner = resume_place(function, analysis, inst);
      const std::uint32_t place =
          inner == ir::none || anywhere ? inner : entered_instead(function, inner);
      if (place != ir::none && std::find(insts.begin(), insts.end(), place) == insts.end()) {
        insts.push_back(place);
      }
    };
    const bool by_call = starts_in_loop(function, analysis);
    if (by_call) want(1);
    for (const std::uint32_t inst : wanted_[index]) want(inst);
    add_places(index, analysis, anywhere, insts);
    for (const std::uint32_t inst : emitter.add_resumes(index, insts, analysis, !is_ptx_)) {
      places.push_back(encoded_.functions[index].entry + inst);
    }
    return by_call ? Compiled::by_call : Compiled::yes;
  }

  /// Places that nobody asked for yet, but where lanes may be stopped.
  void add_places(std::uint32_t index, const FunctionAnalysis& analysis, bool anywhere,
                  std::vector<std::uint32_t>& insts) {
    const ir::Function& function = module_.functions[index];
    const std::uint64_t size = size_of(function);
    std::uint64_t& used = resume_instructions_[index];
    all_resume_instructions_ -= used;  // of an earlier try
    used = 0;
    if (std::find(no_resumes_.begin(), no_resumes_.end(), index) != no_resumes_.end()) return;
    if (all_resume_instructions_ + size > options_.resume_instructions) return;
    const auto take = [&](std::uint32_t place) {
      const std::uint32_t inst = anywhere ? place : entered_instead(function, place);
      if (insts.size() >= options_.resumes_per_function) return;
      if (std::find(insts.begin(), insts.end(), inst) != insts.end()) return;
      insts.push_back(inst);
    };
    for (std::uint32_t i = 1; i < function.blocks.size(); ++i) {
      if (analysis.blocks[i].is_check) take(function.blocks[i]);
    }
    for (std::uint32_t inst = 1; inst < function.code.size(); ++inst) {
      const std::uint32_t site = analysis.sites[inst - 1];
      if (site != ir::none && analysis.site_list[site].checks_after) take(inst);
    }
    used = insts.empty() ? 0 : size;
    all_resume_instructions_ += used;
  }

  /// The function that a symbol is of.
  [[nodiscard]] static std::uint32_t function_of(llvm::StringRef symbol) {
    std::uint32_t number = ir::none;
    const bool is_one = symbol.consume_front("f") && !symbol.getAsInteger(10, number);
    return is_one ? number : ir::none;
  }
  /// The function of the program that a symbol belongs to.
  [[nodiscard]] std::uint32_t owner(llvm::StringRef symbol) const {
    std::uint32_t number = ir::none;
    const bool is_resume = symbol.consume_front("r") && !symbol.getAsInteger(10, number);
    return is_resume ? ir::locate(encoded_, number).function : function_of(symbol);
  }

  /// Functions that turn out to be impossible are refused; what is returned is then of no use.
  Result<std::vector<char>> finish(llvm::Module& unit) {
    WARPHIVE_TRY(verify(unit));
    for (llvm::Function& f : unit) f.addFnAttr("no-builtins");  // no loop becomes a call of memset
    set_processor(unit, machine_);
    PassRunner runner(machine_, tuning());
    optimise(runner, unit);
    const std::string left = lay_out(unit, target_);
    if (!left.empty()) {
      const std::uint32_t function = owner(llvm::StringRef(left).split(':').first);
      if (function == ir::none || !refused_[function].empty()) return codegen_error(left);
      refuse(function, "its memory accesses cannot be laid out (" + left + ")");
      return std::vector<char>();
    }
    clean(runner, unit);
    WARPHIVE_TRY(verify(unit));
    bool is_possible = true;
    for (llvm::Function& f : unit) {
      const std::string reason = is_ptx_ ? obstacle(f) : std::string();
      if (reason.empty()) continue;
      const std::uint32_t function = owner(f.getName());
      if (function == ir::none) return codegen_error(reason);
      refuse(function, reason);
      is_possible = false;
    }
    if (!is_possible) return std::vector<char>();
    return generate(unit, machine_, type_);
  }

  friend Result<std::string> warphive::codegen::list_ptx(const ir::Module& module,
                                                         const ir::EncodedProgram& encoded,
                                                         std::uint32_t function);

  const ir::Module& module_;
  const ir::EncodedProgram& encoded_;
  const DeviceOptions& options_;
  llvm::TargetMachine& machine_;
  const TileTarget& target_;
  const llvm::CodeGenFileType type_;
  const bool is_ptx_;
  const Take take_;
  const Clock::time_point start_ = Clock::now();
  Analyser analyser_;
  const std::vector<std::uint32_t> order_;  // of functions
  std::vector<Compiled> functions_;
  std::vector<bool> left_out_;      // by function: beyond a limit, and in no unit
  std::set<std::uint32_t> called_;  // functions, by other units than their own
  std::uint64_t instructions_ = 0;  // of functions that were looked at
  std::uint64_t code_bytes_ = 0;
  std::vector<std::string> refused_;                // by function: why it is not compiled
  std::vector<std::vector<std::uint32_t>> wanted_;  // by function: where it shall go on
  std::vector<std::uint32_t> no_resumes_;           // functions that are too large with them
  std::vector<std::uint64_t> resume_instructions_;  // by function: of places that nobody asked for
  std::uint64_t all_resume_instructions_ = 0;
  std::size_t refusals_ = 0;
};

}  // namespace

Result<PtxProgram> compile_ptx(const ir::Module& module, const ir::EncodedProgram& encoded,
                               const DeviceOptions& options, const TakeUnit& take) {
  WARPHIVE_TRY_ASSIGN(const auto machine, make_ptx_machine());
  const NvptxTarget target(module, options.shape);
  DeviceCompiler compiler(module, encoded, options, *machine, target,
                          llvm::CodeGenFileType::AssemblyFile, [&](const std::vector<char>& unit) {
                            const std::string_view text(unit.data(), unit.size());
                            return options.lists_offsets ? take(listed_ptx(text)) : take(text);
                          });
  WARPHIVE_TRY(compiler.run());
  WARPHIVE_TRY(compiler.tables());
  PtxProgram program;
  program.functions = compiler.take_functions();
  program.resumes = std::move(compiler.resumes);
  program.reasons = std::move(compiler.reasons);
  program.ran_out = compiler.ran_out;
  return program;
}

Result<PtxProgram> compile_ptx(const ir::Module& module, const ir::EncodedProgram& encoded,
                               const DeviceOptions& options) {
  std::vector<std::string> units;
  auto program = compile_ptx(module, encoded, options, [&](std::string_view unit) {
    units.emplace_back(unit);
    return Status();
  });
  if (program) program->units = std::move(units);
  return program;
}

Result<HostObjects> compile_sim(const ir::Module& module, const ir::EncodedProgram& encoded,
                                const DeviceOptions& options) {
  WARPHIVE_TRY_ASSIGN(const auto machine,
                      make_machine({.triple = llvm::sys::getProcessTriple(),
                                    .processor = llvm::sys::getHostCPUName().str(),
                                    .features = ""}));
  const SimTarget target(module, options.shape);
  HostObjects objects;
  DeviceCompiler compiler(module, encoded, options, *machine, target,
                          llvm::CodeGenFileType::ObjectFile, [&](std::vector<char> unit) {
                            objects.objects.push_back(std::move(unit));
                            return Status();
                          });
  WARPHIVE_TRY(compiler.run());
  objects.functions = compiler.take_functions();
  objects.resumes = std::move(compiler.resumes);
  objects.reasons = std::move(compiler.reasons);
  objects.ran_out = compiler.ran_out;
  return objects;
}

Result<std::string> list_ptx(const ir::Module& module, const ir::EncodedProgram& encoded,
                             std::uint32_t function) {
  WARPHIVE_TRY_ASSIGN(const auto machine, make_ptx_machine());
  const DeviceOptions options;
  const NvptxTarget target(module, options.shape);
  DeviceCompiler compiler(module, encoded, options, *machine, target,
                          llvm::CodeGenFileType::AssemblyFile, nullptr);
  llvm::LLVMContext context;
  Emitter emitter({&module, &encoded}, context, "function", target);
  set_machine(emitter.module(), *machine);
  emitter.mark_offsets();
  std::vector<std::uint32_t> places;
  if (compiler.add(emitter, function, places) == Compiled::no) {
    return codegen_error(compiler.refused_[function]);
  }
  WARPHIVE_TRY_ASSIGN(const auto unit, compiler.finish(emitter.module()));
  if (unit.empty()) return codegen_error(compiler.refused_[function]);
  return listed_ptx({unit.data(), unit.size()});
}

}  // namespace warphive::codegen
