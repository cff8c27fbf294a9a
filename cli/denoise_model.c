/* From a model's folder to a network that denoises. */
#include "cli/denoise_model.h"

#include "diffusion/train.h"
#include "io/path.h"

VslStatus cli_denoiser_open(CliDenoiser *out, const Cli *cli, const char *folder)
{
    VslStatus st = VSL_OK;
    VslDiffusionOptions process = {0};
    *out = (CliDenoiser){0};
    VSL_TRY(cli_model_read(&out->model, folder, "denoise"));
    const char *path = out->model.config_path.text;
    VSL_TRY(cli_settings_get_unet(&out->options, out->n, &out->model.config, path));
    VSL_TRY(cli_settings_get_table(&process, &out->model.config, vsl_diffusion_option_table, path));
    VSL_CHECK(out->options.in_channels == 1 && out->options.out_channels == 1, VSL_E_UNSUPPORTED,
              "%s: is for images of %d channels, expected 1", vsl_path_text(folder).text, out->options.in_channels);
    VSL_TRY(nn_runtime_open(&out->rt, cli->device ? cli->device : "auto", NN_FLOAT32, cli->threads));
    VSL_TRY(nn_params_new(&out->params, out->rt, 0));
    VSL_TRY(vsl_unet_new(&out->unet, out->params, &out->options));
    VSL_TRY(nn_params_status(out->params));
    VSL_TRY(vsl_weights_to_params(out->params, &out->model.weights, "", vsl_path_text(folder).text));
    VSL_TRY(vsl_diffusion_new(&out->process, &process));
out:
    if (st != VSL_OK) {
        cli_denoiser_close(out);
    }
    return st;
}

void cli_denoiser_close(CliDenoiser *m)
{
    vsl_diffusion_free(&m->process);
    vsl_unet_free(&m->unet);
    nn_params_free(&m->params);
    nn_runtime_close(&m->rt);
    cli_model_free(&m->model);
    *m = (CliDenoiser){0};
}
