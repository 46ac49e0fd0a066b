# The documentation; everything else is done by pip, pytest and .ci/run.  First: python -m pip install ".[docs]"
SPHINX = python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html

.PHONY: docs site clean

docs:  ## the site, without running the tutorials
	$(SPHINX)
	@echo "docs/_build/html/index.html"

site:  ## the site, tutorials run: about twelve minutes, less where they have not changed
	BEADWISE_TUTORIALS=run $(SPHINX)
	@echo "docs/_build/html/index.html"

clean:
	rm -rf docs/_build
