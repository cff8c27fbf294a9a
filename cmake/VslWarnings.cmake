# Warnings, sanitizers and code generation of our own code only.
add_library(vsl_flags INTERFACE)
target_compile_options(vsl_flags INTERFACE
    $<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wstrict-prototypes;-Wmissing-prototypes;-Wconversion>
    # errno and floating-point traps are never read; both are safe for NaN and infinities, unlike -ffast-math
    $<$<COMPILE_LANGUAGE:C>:-fno-math-errno;-fno-trapping-math>)
if(CMAKE_C_COMPILER_ID MATCHES Clang)
    # VSL_INDEPENDENT permits vector code, it does not demand it.
    target_compile_options(vsl_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-Wno-pass-failed>)
endif()
if(VSL_WERROR)
    target_compile_options(vsl_flags INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-Werror>)
endif()
if(VSL_NATIVE)
    target_compile_options(vsl_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-march=native>)
endif()
if(VSL_SANITIZE)
    target_compile_options(vsl_flags INTERFACE
        $<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${VSL_SANITIZE};-fno-sanitize-recover=all;-fno-omit-frame-pointer>)
    target_link_options(vsl_flags INTERFACE -fsanitize=${VSL_SANITIZE})
endif()
if(VSL_BUILD_FUZZ)
    # Coverage of our own code for libFuzzer; the targets themselves link -fsanitize=fuzzer.
    target_compile_options(vsl_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link>)
    target_link_options(vsl_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
