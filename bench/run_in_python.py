"""run_in_python.py greedy|ants ARGUMENTS: one call of a registration program that ships as a Python package; prints the
seconds of the call alone, after the import."""
import resource
import sys
import time

package, arguments = sys.argv[1], sys.argv[2:]
if package == "greedy":
    from picsl_greedy import Greedy3D
    program = Greedy3D()
    call = lambda: program.execute(" ".join(arguments))
else:
    import ants  # noqa: F401  registers the functions
    from ants.internal import get_lib_fn
    function = get_lib_fn("antsRegistration")
    call = lambda: function(arguments)
cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
start, start_cpu = time.perf_counter(), cpu()
call()
print(f"\nSECONDS {time.perf_counter() - start:.3f} CPU {cpu() - start_cpu:.3f}")
