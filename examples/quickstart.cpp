// SPDX-License-Identifier: Apache-2.0
// Runs run(i, 100) of a module in 1,000 isolated instances. Usage: quickstart collatz.wasm
#include <cstdio>
#include <warphive/warphive.hpp>

using namespace warphive;

static Result<Results> run_all(const char* path) {
  auto engine = Engine::create();
  auto module = Module::from_file(path);
  if (!engine || !module) return fail(std::move(engine ? module.error() : engine.error()));
  auto program = engine->link(*module);
  if (!program) return fail(std::move(program.error()));
  auto swarm = engine->create_swarm();
  if (!swarm) return fail(std::move(swarm.error()));
  auto ids = swarm->spawn(*program, 1000);
  auto run = program->find_function("run");
  if (!ids || !run) return fail(std::move(ids ? run.error() : ids.error()));
  std::vector<Value> args;
  for (int i = 0; i < 1000; ++i) args.insert(args.end(), {Value::i32(i), Value::i32(100)});
  return swarm->dispatch(*ids, *run, args);
}

int main(int argc, char** argv) {
  auto results = run_all(argc > 1 ? argv[1] : "collatz.wasm");
  if (!results) return std::fprintf(stderr, "%s\n", results.error().describe().c_str()), 1;
  std::printf("run(999, 100) = %d\n", (*results)[999].values[0].as_i32());
}
