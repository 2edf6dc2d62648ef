# SPDX-License-Identifier: Apache-2.0
"""wasmtime as the oracle: the same calls as diff_tool, with the bits of floats untouched."""

import ctypes
import zlib

import wasmtime
from wasmtime import _ffi as ffi

TRAPS = {
    "STACK_OVERFLOW": "stack_overflow",
    "MEMORY_OUT_OF_BOUNDS": "memory_out_of_bounds",
    "TABLE_OUT_OF_BOUNDS": "table_out_of_bounds",
    "INDIRECT_CALL_TO_NULL": "uninitialized_element",
    "BAD_SIGNATURE": "indirect_call_mismatch",
    "INTEGER_OVERFLOW": "integer_overflow",
    "INTEGER_DIVISION_BY_ZERO": "integer_divide_by_zero",
    "BAD_CONVERSION_TO_INTEGER": "invalid_conversion",
    "UNREACHABLE": "unreachable",
}
MASKS = {"i32": 0xFFFFFFFF, "f32": 0xFFFFFFFF, "i64": (1 << 64) - 1, "f64": (1 << 64) - 1, "v128": (1 << 128) - 1}
KINDS = {"i32": ffi.WASMTIME_I32, "i64": ffi.WASMTIME_I64, "f32": ffi.WASMTIME_F32, "f64": ffi.WASMTIME_F64,
         "v128": ffi.WASMTIME_V128}
# The first result word of a reference is its store, 0 for null.
REFERENCES = {"funcref": ffi.WASMTIME_FUNCREF, "externref": ffi.WASMTIME_EXTERNREF}


def kind_name(kind):
    # The wheel of version 50 calls externref so; no module here has an anyref.
    return "externref" if str(kind) == "anyref" else str(kind)


def raw_call(store, function, args):
    """Calls with (type, bits) pairs; returns bits of the results. Raises wasmtime.Trap."""
    results = function.type(store).results
    params_array = (ffi.wasmtime_val_t * len(args))()
    for value, (kind, bits) in zip(params_array, args):
        value.kind = KINDS[kind] if kind in KINDS else REFERENCES[kind]
        if kind == "v128":
            ctypes.memmove(ctypes.addressof(value.of), bits.to_bytes(16, "little"), 16)
        else:
            value.of.i64 = bits if bits < 1 << 63 else bits - (1 << 64)
    results_array = (ffi.wasmtime_val_t * len(results))()
    with wasmtime._func.enter_wasm(store) as trap:
        error = ffi.wasmtime_func_call(store._context(), ctypes.byref(function._func), params_array, len(args),
                                       results_array, len(results), trap)
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
    words = []
    for kind, value in zip(results, results_array):
        kind = kind_name(kind)
        word = int.from_bytes(ctypes.string_at(ctypes.addressof(value.of), 16 if kind == "v128" else 8), "little")
        words.append((kind, word & MASKS.get(kind, (1 << 64) - 1)))
    return words


def describe(call):
    """The outcome of a call in the words of diff_tool, and the byte offset of the operator that trapped."""
    try:
        words = call()
    except wasmtime.Trap as trap:
        code = trap.trap_code
        if code is wasmtime.TrapCode.OUT_OF_FUEL:
            return "out_of_fuel", None
        frames = trap.frames
        return "trap " + TRAPS.get(code.name if code else "", trap.message), frames[0].module_offset if frames else None
    except wasmtime.WasmtimeError as error:
        if "executing at" in str(error) and "unknown import" in str(error):
            return "trap host", None
        raise
    text = "returned"
    for kind, word in words:
        if kind in REFERENCES:
            text += " reference" if word else " null"
        else:
            text += f" {kind}:{word:032x}" if kind == "v128" else f" {kind}:{word:x}"
    return text, None


class Engine:
    def __init__(self, support, values, vectors, fuel, room_pages, room_elements):
        config = wasmtime.Config()
        config.consume_fuel = True
        config.cranelift_nan_canonicalization = True
        config.cranelift_opt_level = "none"
        config.parallel_compilation = False
        config.wasm_relaxed_simd = False
        config.wasm_threads = False
        config.wasm_multi_memory = False
        config.wasm_memory64 = False
        config.wasm_tail_call = True
        config.wasm_gc = False
        config.wasm_function_references = False
        config.wasm_exceptions = False
        self.engine = wasmtime.Engine(config)
        self.support = wasmtime.Module(self.engine, support)
        self.values = values
        self.vectors = vectors
        self.fuel = fuel
        self.room_pages = room_pages
        self.room_elements = room_elements

    def arguments(self, kinds, vector):
        pairs = []
        for i, kind in enumerate(map(kind_name, kinds)):
            values = self.values.get(kind, [0])
            bits = values[(i + vector) % len(values)]
            if kind == "v128":  # its halves are two of them
                bits |= values[(i + vector + 1) % len(values)] << 64
            pairs.append((kind, bits))
        return pairs

    def run(self, data):
        """The same as a diff_tool line has for one executor."""
        try:
            module = wasmtime.Module(self.engine, data)
        except wasmtime.WasmtimeError as error:
            return {"error": str(error)}
        store = wasmtime.Store(self.engine)
        store.set_limits(memory_size=self.room_pages * 65536, table_elements=self.room_elements)
        linker = wasmtime.Linker(self.engine)
        store.set_fuel(self.fuel)
        support = linker.instantiate(store, self.support)
        linker.define_instance(store, "fuzzing-support", support)
        linker.define_unknown_imports_as_traps(module)
        started = {}

        def instantiate():
            started["instance"] = linker.instantiate(store, module)
            return []

        try:
            outcome = {"instantiate": describe(instantiate)[0], "calls": []}
        except wasmtime.WasmtimeError as error:
            return {"error": str(error)}
        if outcome["instantiate"] != "returned":
            return outcome
        exports = started["instance"].exports(store)
        limit = exports.get("hangLimitInitializer")
        if not isinstance(limit, wasmtime.Func) or limit.type(store).params:
            limit = None
        memory = exports.get("memory")
        memory = memory if isinstance(memory, wasmtime.Memory) else None
        for export in module.exports:
            function = exports[export.name]
            if not isinstance(function, wasmtime.Func):
                continue
            kinds = function.type(store).params
            for vector in range(self.vectors if kinds else 1):
                store.set_fuel(self.fuel)
                if limit is not None:
                    describe(lambda: raw_call(store, limit, []))
                    store.set_fuel(self.fuel)
                pages = memory.size(store) if memory else 0
                text, offset = describe(lambda: raw_call(store, function, self.arguments(kinds, vector)))
                # It charges each page that memory.grow adds.
                grown = memory.size(store) - pages if memory else 0
                outcome["calls"].append([export.name, vector, text, self.fuel - store.get_fuel() - grown, offset])
                if text in ("out_of_fuel", "trap stack_overflow"):
                    return outcome
        store.set_fuel(self.fuel)
        outcome["digest"] = describe(lambda: raw_call(store, support.exports(store)["digest"], []))[0]
        if memory:
            count = memory.data_len(store)
            data = (ctypes.c_ubyte * count).from_address(ctypes.addressof(memory.data_ptr(store).contents)) if count else b""
            outcome["memory"] = [count, zlib.crc32(data)]
        return outcome
